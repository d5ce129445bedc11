"""Runs an AWS emulator for as long as standard input is open. Says `ready PORT` once it answers."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

PATIENCE_SECONDS = 60


def free_port() -> int:
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return any_port.getsockname()[1]


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def ready(emulator: subprocess.Popen, port: int, log) -> bool:
    """Waits until it answers."""
    start = time.monotonic()
    while not answers(port):
        if emulator.poll() is not None or time.monotonic() - start > PATIENCE_SECONDS:
            log.seek(0)
            sys.stderr.write("the emulator does not answer:\n" + log.read().decode(errors="replace"))
            return False
        time.sleep(0.05)
    print(f"ready {port}", flush=True)
    return True


def end(emulator: subprocess.Popen) -> None:
    """In good order, so that it stores what it has."""
    emulator.terminate()
    try:
        emulator.wait(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        sys.stderr.write("the emulator does not end when it is told to\n")


def main() -> int:
    # So that what is below is tidied away at every end but SIGKILL.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="fleetline-emulator-") as folder:
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": folder,
            "TMPDIR": folder,
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
        }
        if "--keep-state" in sys.argv[2:]:
            environment |= {
                "PERSIST_STATE": "1",
                "STATE_DIR": os.path.join(folder, "state"),
                "S3_PERSIST": "1",
                "S3_DATA_DIR": os.path.join(folder, "s3"),
            }
        with open(os.path.join(folder, "log"), "w+b") as log:

            def start() -> subprocess.Popen:
                # A group of its own, so that its children end with it.
                return subprocess.Popen(
                    [sys.argv[1]], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )

            emulator = start()
            try:
                if not ready(emulator, port, log):
                    return 1
                for line in sys.stdin:
                    if line.strip() == "restart":
                        end(emulator)
                        kill(emulator)
                        emulator = start()
                        if not ready(emulator, port, log):
                            return 1
            finally:
                kill(emulator)
    return 0


def kill(emulator: subprocess.Popen) -> None:
    try:
        os.killpg(emulator.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # Nobody of its group is left.
    emulator.wait()


if __name__ == "__main__":
    sys.exit(main())
