"""The guard of a Python process: connections to fal's hosts go to mock-fal, whichever client makes them.

Python's clients resolve names with `socket.getaddrinfo`, connect with `socket.socket.connect` and encrypt with
`ssl.SSLContext`. These are wrapped; so are the three libraries that bypass them (uvloop, aiodns, gevent). A name of
fal resolves to an address of its own that belongs to nobody, and a connection to that address, or to the name, goes
to mock-fal's TLS port. Connections that must not leave fail with a message, as in gateway/connect.py.

`mock-fal run` loads this file through `sitecustomize`, the pytest plugin imports it. It imports nothing of mock_fal,
which the program may not have, and nothing that Python has not loaded anyway: modules are patched as they are imported.
"""

from __future__ import annotations

import errno
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` alone would double the cost of this file
    from collections.abc import Awaitable, Callable, Mapping
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

HTTPS = 443
_PORTS = {"https": 443, "http": 80}

# Addresses of fal's names. preload.cjs has the same; a program that only looks at them sees no private address.
# 203.0.113.0/24 is reserved for documentation (RFC 5737), 4000::/3 by the IETF: no packet can reach anybody.
ADDRESSES_4 = "203.0.113.%d"
ADDRESSES_6 = "4fa1::%x"

# The proxy records a blocked connection for the summary. It is on this machine and responds at once.
_REPORT_TIMEOUT_S = 1.0

# The number of addresses of allowed names that are remembered.
_MAX_ADDRESSES = 4096

# The mark of a TLS connection that was opened while a guard was installed.
_MARK = "_mock_fal_guarded"

_OPENED_BEFORE = (
    "this connection to %s was opened before the fixture mock_fal, so it leads to the live service. "
    "Create the client inside the test or in a fixture that uses mock_fal, or close it before the test."
)
_PAST_MOCK_FAL = (
    "mock-fal blocks this connection to %s, because it leads to %s and not to mock-fal. "
    "Use the proxy of the environment, and let Python resolve the name."
)


def install_from(variables: Mapping[str, str]) -> Guard | None:
    """Install the guard that the MOCK_FAL_* variables describe; None if they are missing or invalid."""
    guard = Guard.read(variables)
    if guard is not None:
        guard.install()
    return guard


class Guard:
    """Redirects or blocks the connections of this process, from `install` to `uninstall`.

    Threads whose name begins with `exempt_threads` are left alone: those of a server in this process.
    `opened_before`: block TLS connections to fal that were opened before the guard was installed.
    """

    def __init__(
        self,
        *,
        tls: tuple[str, int],
        ca: str,
        hosts: list[str],
        domains: list[str],
        allow: list[str],
        offline: bool,
        proxy: str,
        exempt_threads: str = "",
        opened_before: bool = False,
    ) -> None:
        self.tls, self.ca, self.offline, self.proxy = tls, ca, offline, proxy
        self.domains, self.allow = domains, frozenset(allow)
        self.exempt_threads, self.opened_before = exempt_threads, opened_before
        numbered = list(enumerate(sorted(hosts), 1))
        self.addresses_4 = {name: ADDRESSES_4 % number for number, name in numbered}
        self.addresses_6 = {name: ADDRESSES_6 % number for number, name in numbered}
        self.names = {address: name for name, address in self.addresses_4.items()}
        self.names.update((address, name) for name, address in self.addresses_6.items())
        self.names.update((name, name) for name in hosts)
        self.allowed: dict[str, None] = {}
        self.active = False
        self._patches: list[tuple[Any, str, Any, Any]] = []
        self._finder = _Finder(self)
        # The class of sockets and its `connect` before the patch, for reports.
        self._plain: tuple[Any, Callable[[Any, Any], Any]] | None = None

    @classmethod
    def read(
        cls, variables: Mapping[str, str], exempt_threads: str = "", opened_before: bool = False
    ) -> Guard | None:
        """The guard that variables of gateway/environment.py describe; None if they are missing or invalid."""
        host, _, port = variables.get("MOCK_FAL_TLS", "").rpartition(":")
        hosts = _list(variables.get("MOCK_FAL_HOSTS", ""))
        if not host or not port.isdigit() or not 0 < int(port) < 65536 or not hosts:
            return None
        return cls(
            tls=(host.strip("[]"), int(port)),
            ca=variables.get("MOCK_FAL_CA", ""),
            hosts=hosts,
            domains=_list(variables.get("MOCK_FAL_DOMAINS", "")),
            allow=_list(variables.get("MOCK_FAL_ALLOW_HOST", "")),
            offline=variables.get("MOCK_FAL_OFFLINE") == "1",
            proxy=variables.get("MOCK_FAL_PROXY", ""),
            exempt_threads=exempt_threads,
            opened_before=opened_before,
        )

    # -- installing

    def __enter__(self) -> Guard:
        self.install()
        return self

    def __exit__(self, *error: object) -> None:
        self.uninstall()

    def install(self) -> None:
        """Patch the modules that are loaded, and the others when they are imported."""
        self.active = True
        sys.meta_path.insert(0, self._finder)
        for name in PATCHES:
            if name in sys.modules:
                self.patch(name)

    def uninstall(self) -> None:
        """Restore what has not been replaced since. A wrapper that somebody keeps does nothing from now on."""
        self.active = False
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        while self._patches:
            owner, name, original, wrapper = self._patches.pop()
            if vars(owner).get(name) is not wrapper:
                continue
            if original is None:
                delattr(owner, name)
            else:
                setattr(owner, name, original)

    def keep_plain(self, sockets: Any) -> None:
        """Keep a class of sockets as it is before its patch: the first one is Python's own."""
        if self._plain is None:
            self._plain = (sockets, sockets.connect)

    def patch(self, name: str) -> None:
        """Patch a module that is loaded. A module that has changed, or that is half loaded, is left as it is."""
        try:
            PATCHES[name](self, sys.modules[name])
        except Exception:
            pass

    def replace(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Replace a function with `make(function)`, if there is one."""
        function = getattr(owner, name, None)
        if function is None:
            return
        wrapper = make(function)
        wrapper.__name__, wrapper.__doc__ = name, function.__doc__
        self._patches.append((owner, name, vars(owner).get(name), wrapper))
        setattr(owner, name, wrapper)

    # -- decisions

    def applies(self) -> bool:
        if not self.active:
            return False
        if self.exempt_threads and "threading" in sys.modules:
            thread: str = sys.modules["threading"].current_thread().name
            return not thread.startswith(self.exempt_threads)
        return True

    def reason(self, host: str) -> str:
        """Why a connection to a name or address is blocked, or an empty string. Port 443 of fal is not asked for."""
        name = self.names.get(host, "")
        if name:
            return (
                f"mock-fal serves {name} over https on port 443 only. "
                "Use an https:// or wss:// address without a port."
            )
        if host in self.allow or host in self.allowed:
            return ""
        if self._is_fal(host):
            return (
                f"mock-fal does not emulate {host}. It is a host of fal, so it is blocked; "
                f"--allow-host {host} forwards requests to the live service."
            )
        if self.offline and not is_loopback(host):
            return (
                f"mock-fal is offline and blocks {host}. "
                f"Start without --offline, or with --allow-host {host}, to forward requests to it."
            )
        return ""

    def _is_fal(self, host: str) -> bool:
        return any(host == domain or host.endswith("." + domain) for domain in self.domains)

    def resolve(self, host: Any, port: Any, family: int = 0, flags: int = 0) -> Any:
        """The name or address to look up instead of `host`. Raises socket.gaierror for a blocked name."""
        import socket

        if host is None or flags & socket.AI_NUMERICHOST or not self.applies():
            return host
        name = normalize(host)
        if name in self.addresses_4:
            return (self.addresses_6 if family == socket.AF_INET6 else self.addresses_4)[name]
        if flags & socket.AI_PASSIVE or packed(name) or name == normalize(socket.gethostname()):
            return host  # no other machine is asked: connect() decides
        reason = self.reason(name)
        if reason:
            self.report(name, port)
            raise socket.gaierror(socket.EAI_NONAME, reason)
        return host

    def remember(self, host: Any, addresses: Any) -> None:
        """The addresses of an allowed name are allowed, for clients that resolve first and connect later."""
        if self.offline and self.active and normalize(host) in self.allow:
            for address in addresses:
                self.allowed[normalize(address)] = None
            while len(self.allowed) > _MAX_ADDRESSES:
                del self.allowed[next(iter(self.allowed))]

    def redirect(self, sock: Any, address: Any) -> Any:
        """The address to connect a socket to. Raises PermissionError for a blocked one."""
        import socket

        is_ip = sock.family in (socket.AF_INET, socket.AF_INET6)
        if not is_ip or not isinstance(address, (tuple, list)) or len(address) < 2 or not self.applies():
            return address
        if sock.type == socket.SOCK_STREAM and self.leads_to_fal(address[0], address[1]):
            host, port = self.tls
            if sock.family == socket.AF_INET6 and ":" not in host:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                host = f"::ffff:{host}"
            return (host, port)
        self.check(address[0], address[1])
        return address

    def leads_to_fal(self, host: Any, port: Any) -> bool:
        return _number(port) == HTTPS and normalize(host) in self.names

    def check(self, host: Any, port: Any) -> None:
        """Raise PermissionError, an OSError, for an address that is blocked."""
        name = normalize(host)
        reason = self.reason(name)
        if reason:
            self.report(self.names.get(name, name), port)
            raise PermissionError(errno.EACCES, reason)

    def report(self, host: str, port: Any) -> None:
        """Let the proxy, which blocks the same hosts, record the connection for the summary."""
        scheme, _, rest = self.proxy.partition("://")
        login, _, address = rest.rstrip("/").rpartition("@")
        proxy_host, _, proxy_port = address.rpartition(":")
        if scheme != "http" or not proxy_port.isdigit() or self._plain is None:
            return
        import socket

        lines = [f"CONNECT {f'[{host}]' if ':' in host else host}:{_number(port) or HTTPS} HTTP/1.1"]
        if login:
            from base64 import b64encode
            from urllib.parse import unquote

            lines.append(f"Proxy-Authorization: Basic {b64encode(unquote(login).encode()).decode()}")
        try:
            family = socket.AF_INET6 if ":" in proxy_host else socket.AF_INET
            sockets, connect = self._plain
            with sockets(family, socket.SOCK_STREAM) as client:
                client.settimeout(_REPORT_TIMEOUT_S)
                connect(client, (proxy_host.strip("[]"), int(proxy_port)))
                client.sendall("\r\n".join([*lines, "", ""]).encode())
                client.recv(1)
        except (OSError, ValueError):
            pass

    # -- TLS

    def trust(self, context: Any, server_hostname: Any, sock: Any = None) -> None:
        """Before a handshake: trust mock-fal's certificate for fal's names, and only then.

        Raises PermissionError if the connection leads past mock-fal.
        """
        if not self.applies():
            return
        name = normalize(server_hostname or "")
        peer = _peer(sock)
        is_fal = name in self.addresses_4
        is_blocked = is_fal or (self._is_fal(name) and name not in self.allow)
        if is_blocked and not self._is_ours(peer):
            self.report(name, HTTPS)
            raise PermissionError(errno.EACCES, _PAST_MOCK_FAL % (name, peer[0]))
        if (is_fal or peer == self.tls) and vars(context).get(_MARK) != self.ca:
            try:
                context.load_verify_locations(self.ca)
                vars(context)[_MARK] = self.ca
            except (OSError, ValueError):
                pass  # the server has stopped, or its files can't be read: the handshake fails, as it should

    def _is_ours(self, peer: tuple[str, int]) -> bool:
        return not peer[0] or peer[0] == self.tls[0] or is_loopback(peer[0])

    def check_write(self, connection: Any) -> None:
        """Raise PermissionError for a connection to fal that was opened before the guard was installed."""
        name = normalize(getattr(connection, "server_hostname", None) or "")
        if name in self.addresses_4 and not vars(connection).get(_MARK) and self.applies():
            raise PermissionError(errno.EACCES, _OPENED_BEFORE % name)


class _Finder:
    """Patches a module right after its import."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name not in PATCHES:
            return None
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec: ModuleSpec | None = find(name, path, target)
            if spec is not None:
                self._patch_after(spec)
                return spec
        return None

    def _patch_after(self, spec: ModuleSpec) -> None:
        loader: Any = spec.loader
        load = getattr(loader, "exec_module", None)
        if load is None:
            return

        def exec_module(module: ModuleType) -> None:
            load(module)
            if module.__name__ == spec.name and self._guard.active:
                self._guard.patch(spec.name)

        try:
            loader.exec_module = exec_module
        except AttributeError:
            pass  # a loader without attributes


# -- patches


def patch_socket(guard: Guard, module: Any) -> None:
    """The module `socket`, and the parts of gevent that have the same functions."""
    from socket import AI_ADDRCONFIG

    def make_getaddrinfo(original: Any) -> Any:
        def getaddrinfo(
            host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
        ) -> Any:
            resolved = guard.resolve(host, port, family, flags)
            if resolved is not host:
                # An address needs no interface with that family.
                return original(resolved, port, family, type, proto, flags & ~AI_ADDRCONFIG)
            found = original(host, port, family, type, proto, flags)
            guard.remember(host, (entry[4][0] for entry in found))
            return found

        return getaddrinfo

    def make_gethostbyname(original: Any) -> Any:
        def gethostbyname(hostname: Any) -> Any:
            found = original(guard.resolve(hostname, None))
            guard.remember(hostname, (found,))
            return found

        return gethostbyname

    def make_gethostbyname_ex(original: Any) -> Any:
        def gethostbyname_ex(hostname: Any) -> Any:
            found = original(guard.resolve(hostname, None))
            guard.remember(hostname, found[2])
            return found

        return gethostbyname_ex

    def make_connect(original: Any) -> Any:
        def connect(self: Any, address: Any) -> Any:
            return original(self, guard.redirect(self, address))

        return connect

    def make_sendto(original: Any) -> Any:
        def sendto(self: Any, *arguments: Any) -> Any:
            if len(arguments) > 1:
                guard.redirect(self, arguments[-1])
            return original(self, *arguments)

        return sendto

    def make_sendmsg(original: Any) -> Any:
        def sendmsg(self: Any, *arguments: Any) -> Any:
            if len(arguments) > 3:
                guard.redirect(self, arguments[3])
            return original(self, *arguments)

        return sendmsg

    if vars(module).get("socket") is not None and isinstance(module.socket, type):
        guard.keep_plain(module.socket)
        guard.replace(module.socket, "connect", make_connect)
        guard.replace(module.socket, "connect_ex", make_connect)
        guard.replace(module.socket, "sendto", make_sendto)
        guard.replace(module.socket, "sendmsg", make_sendmsg)
    guard.replace(module, "getaddrinfo", make_getaddrinfo)
    guard.replace(module, "gethostbyname", make_gethostbyname)
    guard.replace(module, "gethostbyname_ex", make_gethostbyname_ex)


def patch_ssl(guard: Guard, module: Any) -> None:
    """All contexts, however and whenever they were made: they get the certificate just before a handshake."""

    def make_wrap_socket(original: Any) -> Any:
        def wrap_socket(
            self: Any,
            sock: Any,
            server_side: bool = False,
            do_handshake_on_connect: bool = True,
            suppress_ragged_eofs: bool = True,
            server_hostname: Any = None,
            session: Any = None,
        ) -> Any:
            if not server_side:
                guard.trust(self, server_hostname, sock)
            wrapped = original(
                self,
                sock,
                server_side,
                do_handshake_on_connect,
                suppress_ragged_eofs,
                server_hostname,
                session,
            )
            return _marked(wrapped)

        return wrap_socket

    def make_wrap_bio(original: Any) -> Any:
        def wrap_bio(
            self: Any,
            incoming: Any,
            outgoing: Any,
            server_side: bool = False,
            server_hostname: Any = None,
            session: Any = None,
        ) -> Any:
            if not server_side:
                guard.trust(self, server_hostname)
            return _marked(original(self, incoming, outgoing, server_side, server_hostname, session))

        return wrap_bio

    def make_write(original: Any) -> Any:
        def write(self: Any, *arguments: Any) -> Any:
            guard.check_write(self)
            return original(self, *arguments)

        return write

    def _marked(connection: Any) -> Any:
        if guard.opened_before and guard.active:
            vars(connection)[_MARK] = True
        return connection

    guard.replace(module.SSLContext, "wrap_socket", make_wrap_socket)
    guard.replace(module.SSLContext, "wrap_bio", make_wrap_bio)
    if guard.opened_before:
        guard.replace(module.SSLSocket, "send", make_write)
        guard.replace(module.SSLSocket, "write", make_write)
        guard.replace(module.SSLObject, "write", make_write)


def patch_proactor(guard: Guard, module: Any) -> None:
    """asyncio on Windows connects without `socket.connect`."""

    def make_sock_connect(original: Any) -> Any:
        async def sock_connect(self: Any, sock: Any, address: Any) -> Any:
            return await original(self, sock, guard.redirect(sock, address))

        return sock_connect

    guard.replace(module.BaseProactorEventLoop, "sock_connect", make_sock_connect)


def patch_uvloop(guard: Guard, module: Any) -> None:
    """uvloop resolves and connects in C, except for sockets that are passed to it."""

    def make_create_connection(original: Any) -> Any:
        async def create_connection(
            self: Any, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
        ) -> Any:
            if host is not None and guard.applies():
                if guard.leads_to_fal(host, port):
                    if options.get("ssl") and options.get("server_hostname") is None:
                        options["server_hostname"] = host
                    for name in ("family", "flags", "local_addr"):
                        options.pop(name, None)
                    host, port = guard.tls
                else:
                    guard.check(host, port)
            return await original(self, protocol_factory, host, port, **options)

        return create_connection

    def make_getaddrinfo(original: Any) -> Any:
        async def getaddrinfo(self: Any, host: Any, port: Any, **options: Any) -> Any:
            resolved = guard.resolve(host, port, options.get("family", 0), options.get("flags", 0))
            found = await original(self, resolved, port, **options)
            if resolved is host:
                guard.remember(host, (entry[4][0] for entry in found))
            return found

        return getaddrinfo

    def make_create_datagram_endpoint(original: Any) -> Any:
        async def create_datagram_endpoint(
            self: Any, protocol_factory: Any, local_addr: Any = None, remote_addr: Any = None, **options: Any
        ) -> Any:
            if isinstance(remote_addr, (tuple, list)) and guard.applies():
                guard.check(remote_addr[0], remote_addr[1])
            return await original(self, protocol_factory, local_addr, remote_addr, **options)

        return create_datagram_endpoint

    guard.replace(module.Loop, "create_connection", make_create_connection)
    guard.replace(module.Loop, "getaddrinfo", make_getaddrinfo)
    guard.replace(module.Loop, "create_datagram_endpoint", make_create_datagram_endpoint)


def patch_aiodns(guard: Guard, module: Any) -> None:
    """aiohttp's resolver, if aiodns is installed: it asks name servers itself."""

    def make_lookup(original: Any) -> Any:
        def lookup(self: Any, host: Any, *arguments: Any, **options: Any) -> Any:
            found: Awaitable[Any] = original(self, resolved(host), *arguments, **options)
            if guard.offline and hasattr(found, "add_done_callback"):
                found.add_done_callback(lambda done: remember(host, done))
            return found

        return lookup

    def make_query(original: Any) -> Any:
        def query(self: Any, host: Any, *arguments: Any, **options: Any) -> Any:
            if resolved(host) is not host:
                raise module.error.DNSError(4, f"mock-fal has no DNS records of {host}; use getaddrinfo")
            return original(self, host, *arguments, **options)

        return query

    def resolved(host: Any) -> Any:
        try:
            return guard.resolve(host, None)
        except OSError as error:
            raise module.error.DNSError(4, error.strerror) from None  # the error that its callers expect

    def remember(host: Any, done: Any) -> None:
        if done.cancelled() or done.exception() is not None:
            return
        result = done.result()
        nodes = [node.addr[0] for node in getattr(result, "nodes", ())]
        guard.remember(host, [*nodes, *getattr(result, "addresses", ())])

    for name in ("getaddrinfo", "gethostbyname"):
        guard.replace(module.DNSResolver, name, make_lookup)
    for name in ("query", "query_dns"):
        guard.replace(module.DNSResolver, name, make_query)


PATCHES: dict[str, Callable[[Guard, Any], None]] = {
    "socket": patch_socket,
    "ssl": patch_ssl,
    "asyncio.proactor_events": patch_proactor,
    "uvloop": patch_uvloop,
    "aiodns": patch_aiodns,
    # gevent replaces the functions and classes above with its own.
    "gevent._socketcommon": patch_socket,
    "gevent._socket3": patch_socket,
    "gevent.ssl": patch_ssl,
}


# -- names and addresses


def _list(text: str) -> list[str]:
    return [normalize(name.strip()) for name in text.split(",") if name.strip()]


def _number(port: Any) -> int:
    """A port as a number; it may be the name of a service. 0 if it is neither."""
    if isinstance(port, (bytes, bytearray)):
        port = port.decode("latin-1")
    if isinstance(port, str):
        return int(port) if port.isdecimal() else _PORTS.get(port, 0)
    return int(port) if isinstance(port, int) else 0


def normalize(host: Any) -> str:
    """A name or address as the tables have it: lower case, without the dot at its end and the zone of an address."""
    text = host.decode("latin-1") if isinstance(host, (bytes, bytearray)) else str(host or "")
    if not text.isascii():
        try:
            text = text.encode("idna").decode()
        except UnicodeError:
            pass
    name = text.lower().rstrip(".")
    if ":" not in name:
        return name
    name = name.partition("%")[0]
    address = packed(name)
    if address[:12] == b"\0" * 10 + b"\xff\xff":
        return ".".join(map(str, address[12:]))
    if address:
        import socket

        return socket.inet_ntop(socket.AF_INET6, address)
    return name


def packed(name: str) -> bytes:
    """The bytes of an IP address, or none if `name` is not one."""
    if ":" not in name and not name[:1].isdigit():
        return b""
    import socket

    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in name else socket.AF_INET, name)
    except (OSError, ValueError):
        return b""


def is_loopback(name: str) -> bool:
    """Whether a normalized name or address is this machine: 127.0.0.0/8, ::1, unspecified, or localhost."""
    if name in ("", "localhost", "0.0.0.0", "::", "::1") or name.endswith(".localhost"):
        return True
    address = packed(name)
    return len(address) == 4 and address[0] == 127


def _peer(sock: Any) -> tuple[str, int]:
    """The address that a socket is connected to; empty if it is unknown."""
    try:
        peer = sock.getpeername()
        return normalize(peer[0]), peer[1]
    except (AttributeError, OSError, TypeError, ValueError, IndexError):
        return "", 0
