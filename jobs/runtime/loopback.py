"""Process mode on loopback alone.

Beam, through which Flink talks with Python processes, asks for servers on loopback and then opens them by port number
only, which means on all interfaces; there is no setting for it. So its class that opens them is read from the Flink
that runs, one call in it is replaced, and Java finds the result before the original.
"""

import os
from typing import Any, Final

from py4j.protocol import Py4JJavaError

from jobs.runtime.class_file import INVOKE_STATIC, INVOKE_VIRTUAL, NOTHING, ClassFile, UnexpectedClass, u2
from jobs.runtime.errors import RuntimeProblem
from jobs.runtime.gateway import Gateway

OPENS_SERVERS: Final = "org/apache/beam/sdk/fn/server/ServerFactory$InetSocketAddressServerFactory"
_BUILDER: Final = "org/apache/beam/vendor/grpc/v1p60p1/io/grpc/netty/NettyServerBuilder"
_LOAD_ADDRESS: Final = b"\x2b"
"""Of `createServer(services, address)`: its second argument."""


def keep_to_loopback(gateway: Gateway) -> None:
    """Let Flink in this Java, to which PyFlink is connected, listen on loopback only in process mode too.

    Raises:
        RuntimeProblem: it would not, as this Flink is not as expected.
    """
    from pyflink.java_gateway import get_gateway

    if os.pathsep in str(gateway.classes):
        raise RuntimeProblem(
            f"{gateway.classes}: process mode needs a path without {os.pathsep!r}; set TMPDIR to another folder"
        )
    java = get_gateway().jvm
    replaced = gateway.classes / f"{OPENS_SERVERS}.class"
    try:
        if not replaced.exists():
            content = on_loopback(_class_bytes(java))
            replaced.parent.mkdir(parents=True, exist_ok=True)
            replaced.write_bytes(content)
        if (found := _loaded_from(java)) != str(gateway.classes):
            raise UnexpectedClass(f"a class from {found}")
    except UnexpectedClass as error:
        raise RuntimeProblem(
            f"process mode would listen on all network interfaces with this version of Flink ({error}): use thread mode"
        ) from None


def _class_bytes(java: Any) -> bytes:
    stream = java.java.lang.ClassLoader.getSystemResourceAsStream(f"{OPENS_SERVERS}.class")
    if stream is None:
        raise UnexpectedClass("no class that opens servers")
    return bytes(java.java.io.DataInputStream(stream).readAllBytes())


def _loaded_from(java: Any) -> str:
    """Where Java has the class from; if it had none yet, it loads and verifies it."""
    try:
        loaded = java.java.lang.Class.forName(OPENS_SERVERS.replace("/", "."))
    except Py4JJavaError as error:
        kind = error.java_exception.getClass().getSimpleName()
        raise UnexpectedClass(f"a class that Java refuses: {kind}") from None
    return str(java.java.io.File(loaded.getProtectionDomain().getCodeSource().getLocation().toURI()).getPath())


def on_loopback(content: bytes) -> bytes:
    """Beam's class, in which `NettyServerBuilder.forPort(address.getPort())` is `.forAddress(address)`.

    Raises:
        UnexpectedClass: it is not Beam's class as we know it.
    """
    opening = ClassFile(content)
    port = opening.method("java/net/InetSocketAddress", "getPort", "()I")
    builder = opening.method(_BUILDER, "forPort", f"(I)L{_BUILDER};")
    ask_port, build = INVOKE_VIRTUAL + u2(port), INVOKE_STATIC + u2(builder)
    opening.replace_code(_LOAD_ADDRESS + ask_port + build, _LOAD_ADDRESS + NOTHING * len(ask_port) + build)
    opening.redirect(builder, _BUILDER, "forAddress", f"(Ljava/net/SocketAddress;)L{_BUILDER};")
    return bytes(opening)
