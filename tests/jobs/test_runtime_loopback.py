"""Beam's class that opens servers, made to listen on loopback."""

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyflink
import pytest
from pyflink.java_gateway import get_gateway

from benchmarks.alone import alone
from jobs.runtime.class_file import ClassFile, UnexpectedClass
from jobs.runtime.errors import RuntimeProblem
from jobs.runtime.gateway import Gateway
from jobs.runtime.loopback import OPENS_SERVERS, keep_to_loopback, on_loopback
from jobs.runtime.workspace import workspace

BUILDER = "org/apache/beam/vendor/grpc/v1p60p1/io/grpc/netty/NettyServerBuilder"
FOR_PORT = (BUILDER, "forPort", f"(I)L{BUILDER};")
FOR_ADDRESS = (BUILDER, "forAddress", f"(Ljava/net/SocketAddress;)L{BUILDER};")


def flink_class(name: str) -> bytes:
    """A class of the Flink that is installed."""
    (jar,) = Path(pyflink.__file__).parent.glob("opt/flink-python*.jar")
    with zipfile.ZipFile(jar) as classes:
        return classes.read(f"{name}.class")


@pytest.fixture(scope="module")
def original() -> bytes:
    return flink_class(OPENS_SERVERS)


class TestRewriting:
    def test_the_one_call_is_another(self, original: bytes) -> None:
        """And nothing else: three constants more, of the code 9 bytes in one place."""
        changed = on_loopback(original)
        number = ClassFile(original).method(*FOR_PORT)
        assert ClassFile(changed).method(*FOR_ADDRESS) == number
        with pytest.raises(UnexpectedClass, match="does not call"):
            ClassFile(changed).method(*FOR_PORT)
        code = original.index(b"\xb8" + number.to_bytes(2, "big") + b"\x12") - 4
        tail = original[code:]
        assert original[code : code + 2] == b"\x2b\xb6"
        assert changed.endswith(b"\x2b\x00\x00\x00" + tail[4:])

    def test_what_is_not_changed_stays(self, original: bytes) -> None:
        """Every kind of constant is put back as it was."""
        for content in (original, flink_class(BUILDER), flink_class("org/apache/flink/python/PythonOptions")):
            assert bytes(ClassFile(content)) == content


class TestRefusal:
    """Nothing is guessed: whatever is not the class that we know is refused."""

    def test_changed_already(self, original: bytes) -> None:
        with pytest.raises(UnexpectedClass, match=r"does not call .*\.forPort"):
            on_loopback(on_loopback(original))

    def test_another_class(self) -> None:
        with pytest.raises(UnexpectedClass, match="does not call"):
            on_loopback(flink_class(BUILDER))

    def test_other_code(self, original: bytes) -> None:
        """The same calls, in another order of instructions, or twice."""
        port = ClassFile(original).method("java/net/InetSocketAddress", "getPort", "()I")
        asking = b"\x2b\xb6" + port.to_bytes(2, "big")
        assert original.count(asking) == 1
        with pytest.raises(UnexpectedClass, match="other code"):
            on_loopback(original.replace(asking, b"\x2c" + asking[1:]))
        code = original[original.index(asking) :][:7]
        with pytest.raises(UnexpectedClass, match="other code"):
            on_loopback(original + code)

    @pytest.mark.parametrize("length", [0, 3, 9, 100, 2_000])
    def test_no_whole_class(self, original: bytes, length: int) -> None:
        with pytest.raises(UnexpectedClass):
            on_loopback(original[:length])

    def test_unknown_kinds(self, original: bytes) -> None:
        """A constant of a kind that may come with a later Java."""
        with pytest.raises(UnexpectedClass, match="of a new kind"):
            on_loopback(original[:10] + b"\x63" + original[11:])


@pytest.mark.slow
class TestJava:
    """A run ends with one line then, instead of listening everywhere. Each has a Java, so a process of its own."""

    def test_that_has_the_original_is_refused(self) -> None:
        assert re.search(r"\(a class from .*flink-python.*\): use thread mode", alone(said_of_the_original))

    def test_that_refuses_the_class(self) -> None:
        """Code that fits no longer is found when the class is loaded, not in the middle of a job."""
        assert re.search(r"\(a class that Java refuses: .*VerifyError", alone(said_of_what_java_refuses))


def said_of_the_original() -> str:
    """It was loaded before."""
    with java() as gateway:
        get_gateway().jvm.java.lang.Class.forName(OPENS_SERVERS.replace("/", "."))
        return refusal(gateway)


def said_of_what_java_refuses() -> str:
    """A class with 0 for an address."""
    with java() as gateway:
        place = gateway.classes / f"{OPENS_SERVERS}.class"
        place.parent.mkdir(parents=True)
        changed = on_loopback(flink_class(OPENS_SERVERS))
        place.write_bytes(changed.replace(b"\x2b\x00\x00\x00\xb8", b"\x03\x00\x00\x00\xb8"))
        return refusal(gateway)


@contextmanager
def java() -> Iterator[Gateway]:
    with workspace() as folder, Gateway(folder / "java") as gateway:
        gateway.connect()
        yield gateway


def refusal(gateway: Gateway) -> str:
    with pytest.raises(RuntimeProblem) as refused:
        keep_to_loopback(gateway)
    return str(refused.value)
