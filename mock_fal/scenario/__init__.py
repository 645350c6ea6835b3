"""What a test asks for: who waits how long, who fails, how. `rules` is the door; read from `words` upwards."""
