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
        with open(os.path.join(folder, "log"), "w+b") as log:
            # A group of its own, so that its children end with it.
            emulator = subprocess.Popen(
                [sys.argv[1]], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
            try:
                start = time.monotonic()
                while not answers(port):
                    if emulator.poll() is not None or time.monotonic() - start > PATIENCE_SECONDS:
                        log.seek(0)
                        sys.stderr.write("the emulator does not answer:\n" + log.read().decode(errors="replace"))
                        return 1
                    time.sleep(0.05)
                print(f"ready {port}", flush=True)
                while sys.stdin.buffer.read(4096):
                    pass
            finally:
                os.killpg(emulator.pid, signal.SIGKILL)
                emulator.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
