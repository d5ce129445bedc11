"""Measures Celery over Redis: chains of tasks that do nothing, submitted first, then worked off.

    celery_bench.py --runs N --steps K --processes P

Prints one line of JSON for each way of running it: name, seconds (from the first task's start to the last one's end),
submit_seconds, cpu_seconds (of workers and Redis), peak_memory_bytes (of the largest process), stored_bytes (what
Redis held at the end). Everything is on loopback and in a temporary folder; every process is ended by its id.
"""

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time

import celery
import redis

# How Redis keeps what it has, and how careful Celery is. See PEER_IS in fleet-bench's report.rs.
WAYS = [
    ("celery fast, redis in memory", False, False),
    ("celery careful, redis in memory", False, True),
    ("celery careful, redis everysec", True, True),
]
PATIENCE_SECONDS = 600


def application():
    """The Celery application; its workers import this very file."""
    url = os.environ["CELERY_BENCH_REDIS"]
    is_careful = os.environ["CELERY_BENCH_CAREFUL"] == "1"
    app = celery.Celery("bench", broker=url, backend=url if is_careful else None)
    app.conf.update(
        broker_connection_retry_on_startup=True,
        task_acks_late=is_careful,
        task_ignore_result=not is_careful,
        task_reject_on_worker_lost=is_careful,
        worker_prefetch_multiplier=64,
        worker_send_task_events=False,
    )
    store = redis.Redis.from_url(url)

    @app.task(name="noop")
    def noop():
        pass

    @app.task(name="noop_first")
    def noop_first():
        store.set("began", time.time(), nx=True)

    @app.task(name="noop_last")
    def noop_last(runs):
        if store.incr("ended_runs") == runs:
            store.set("ended", time.time())

    return app, noop, noop_first, noop_last


@contextlib.contextmanager
def process(arguments, log, **more):
    """A process that is ended by its id when the block is left."""
    with open(log, "wb") as output:
        child = subprocess.Popen(arguments, stdout=output, stderr=subprocess.STDOUT, **more)
        try:
            yield child
        finally:
            child.terminate()
            try:
                child.wait(timeout=20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def family(pid):
    """A process and those that it started."""
    pids = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as children:
            for child in children.read().split():
                pids += family(int(child))
    return pids


def usage(pids):
    """Seconds of CPU of all of them, and the largest one's peak memory in bytes."""
    cpu_seconds, peak_memory_bytes = 0.0, 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        cpu_seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        with open(f"/proc/{pid}/status") as status:
            peak = next(line for line in status if line.startswith("VmHWM:"))
        peak_memory_bytes = max(peak_memory_bytes, int(peak.split()[1]) * 1024)
    return cpu_seconds, peak_memory_bytes


def wait_for(what, is_there, seconds, log):
    give_up = time.monotonic() + seconds
    while not is_there():
        if time.monotonic() > give_up:
            with open(log, errors="replace") as said:
                sys.exit(f"celery_bench: {what}: not within {seconds} s\n{said.read()[-2000:]}")
        time.sleep(0.02)


def answers(store):
    try:
        return store.ping()
    except redis.exceptions.ConnectionError:
        return False


def measure(name, is_synced, is_careful, arguments, folder):
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    keeping = ["--appendonly", "yes", "--appendfsync", "everysec"] if is_synced else ["--appendonly", "no"]
    server = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder, *keeping]
    os.environ["CELERY_BENCH_REDIS"] = url
    os.environ["CELERY_BENCH_CAREFUL"] = "1" if is_careful else "0"
    redis_log, worker_log = os.path.join(folder, "redis.log"), os.path.join(folder, "worker-0.log")
    with contextlib.ExitStack() as running:
        server = running.enter_context(process(server, redis_log))
        store = redis.Redis.from_url(url)
        wait_for("Redis", lambda: answers(store), 10, redis_log)

        _, noop, noop_first, noop_last = application()
        submitting = time.monotonic()
        middle = [noop.si() for _ in range(arguments.steps - 2)]
        for _ in range(arguments.runs):
            celery.chain(noop_first.si(), *middle, noop_last.si(arguments.runs)).apply_async()
        submit_seconds = time.monotonic() - submitting

        workers = []
        for n in range(arguments.processes):
            command = [sys.executable, "-m", "celery", "-A", "celery_bench:app", "worker", "--pool", "prefork"]
            command += ["--concurrency", "1", "--loglevel", "ERROR", "--hostname", f"bench{n}@localhost"]
            command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
            log = os.path.join(folder, f"worker-{n}.log")
            here = os.path.dirname(os.path.abspath(__file__))
            more = {"env": {**os.environ, "PYTHONPATH": here, "PYTHONDONTWRITEBYTECODE": "1"}, "cwd": folder}
            workers.append(running.enter_context(process(command, log, **more)))
        wait_for("the end of all runs", lambda: store.get("ended"), PATIENCE_SECONDS, worker_log)

        pids = [pid for worker in workers for pid in family(worker.pid)] + [server.pid]
        cpu_seconds, peak_memory_bytes = usage(pids)
        return {
            "name": name,
            "seconds": float(store.get("ended")) - float(store.get("began")),
            "submit_seconds": submit_seconds,
            "cpu_seconds": cpu_seconds,
            "peak_memory_bytes": peak_memory_bytes,
            "stored_bytes": store.info("memory")["used_memory_peak"],
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--processes", type=int, required=True)
    arguments = parser.parse_args()
    for name, is_synced, is_careful in WAYS:
        with tempfile.TemporaryDirectory(prefix="celery-bench-") as folder:
            print(json.dumps(measure(name, is_synced, is_careful, arguments, folder)), flush=True)


if __name__ == "__main__":
    main()
elif "CELERY_BENCH_REDIS" in os.environ:
    # A worker imports this file and takes the application from here.
    app = application()[0]
