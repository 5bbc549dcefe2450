"""J6 harness: runs tui/app.py (or any command) in a real pty (160x50), counts output bytes, key->paint latency, CPU %, first frame, RSS."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import common as C

perf = time.perf_counter


def stat(pid):
    f = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")


def hwm(pid):
    return next(int(l.split()[1]) / 1024 for l in open(f"/proc/{pid}/status") if l.startswith("VmHWM"))


def session(name, argv, secs=20.0, keys=True, rate=None):
    t0 = perf()
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", LINES="50", COLUMNS="160")
        os.execvp(argv[0], argv)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
    buf, total, first, lat, n, sent, nxt, tail = b"", 0, None, [], 0, None, None, b""
    start = None
    miss = 0
    while True:
        now = perf()
        if start and now - start > secs or (not start and now - t0 > 15): break
        r, _, _ = select.select([fd], [], [], 0.002)
        if r:
            try: b = os.read(fd, 1 << 16)
            except OSError: break
            total += len(b); tail = (tail + b)[-200_000 if sent or start is None else -64:]
            if start is None and (b"K000000" in tail or (not keys and total > 2000)):
                first = perf() - t0; start = perf(); total0 = total; cpu0 = stat(pid); nxt = start + 1
            if sent and re.search(rb"K0*%d\b" % n, tail): lat.append((perf() - sent) * 1e3); sent = None; nxt = perf() + 0.13; tail = b""
            elif b"\x1b[6n" in b: os.write(fd, b"\x1b[1;1R")
        if start and keys:
            now = perf()
            if sent is None and now >= nxt: n += 1; tail = b""; sent = perf(); os.write(fd, b"k")
            elif sent and now - sent > 3: miss += 1; sent = None; nxt = now + .1
    out = {}
    if start:
        dt = perf() - start
        p = lambda q: float(np.percentile(lat, q)) if lat else None
        C.emit("J6", name, rate=rate, cpu_pct=100 * (stat(pid) - cpu0) / dt, bytes_per_s=(total - total0) / dt, first_frame_ms=first * 1e3, key_p50_ms=p(50), key_p99_ms=p(99),
               keys=len(lat), missed=miss, rss_mb=hwm(pid))
    else:
        print(name, "never painted", total, tail[-300:])
    os.write(fd, b"q"); time.sleep(.3)
    try: os.kill(pid, signal.SIGTERM)                         # our own child
    except ProcessLookupError: pass
    t = perf()
    while perf() - t < 3:
        try:
            if select.select([fd], [], [], .05)[0]: os.read(fd, 1 << 16)
        except OSError: pass
        if os.waitpid(pid, os.WNOHANG)[0]: break
    else:
        os.kill(pid, signal.SIGKILL); os.waitpid(pid, 0)
    os.close(fd)


def main(secs="20", which="all"):
    app = [sys.executable, os.path.join(HERE, "tui", "app.py")]
    for rate in (1000, 10000):
        for mode in ("naive", "coalesced", "line", "richlive"):
            if which in ("all", mode): session(mode, app + [mode, str(rate)], float(secs), True, rate)
    if which in ("all", "top"):
        for c in (["top", "-d", "1"], ["htop", "-d", "10"], ["btop"]):
            if any(os.access(os.path.join(d, c[0]), os.X_OK) for d in os.environ["PATH"].split(":")): session(c[0], c, 8.0, False)


if __name__ == "__main__":
    main(*sys.argv[1:])
