"""In the place of the emulated hosts: the live service while recording, cassettes while replaying."""
