"""Runs the programs of a test process, in its place: a child has all descriptors of the process that forks it until it
becomes another program, and so keeps for a moment every lock, listener and tap that a test has just let go of.

Descriptor 0 is a stream socket to the test process, with one JSON object a line.
    {"id": 1, "words": ["ip", "link"], "seconds": 60}      run it; a log that is named takes all that it says
    {"id": 1, "end": true}                                 kill it
    {"id": 1, "pid": 77}                                   it runs, and leads a process group of that number
    {"id": 1, "code": 0, "output": "", "error": ""}        it has ended: -N by signal N, 124 as its time was up
    {"id": 1, "refused": "No such file or directory"}      it could not be started
When the socket ends, however the test process ended, all that runs is killed, and what bears the mark of that process
is removed: namespaces, mounts, directories.

usage: launcher.py MARK       (sdt-PID-)
"""
import ctypes, glob, json, os, shutil, signal, socket, subprocess, sys, threading, time

mark = sys.argv[1]
peer = socket.socket(fileno=0)
speaking = threading.Lock()
running = {}


def answer(number, **fields):
    line = json.dumps({"id": number, **fields}).encode() + b"\n"
    with speaking:
        try:
            peer.sendall(line)
        except OSError:
            pass  # The test process has gone; the main thread has seen it too.


def kill(process, number):
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def wait(process, seconds):
    """Its output and errors, and whether its time was up."""
    for limit, number in ((seconds, signal.SIGTERM), (2, signal.SIGKILL)):
        try:
            return *process.communicate(timeout=limit), number == signal.SIGKILL
        except subprocess.TimeoutExpired:
            kill(process, number)
    return *process.communicate(), True


def run(number, words, seconds, log):
    try:
        said = subprocess.PIPE if log is None else open(log, "ab")
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said,
                                   stderr=subprocess.PIPE if log is None else said, process_group=0)
    except OSError as error:
        return answer(number, refused=error.strerror)
    running[number] = process
    answer(number, pid=process.pid)
    output, errors, is_late = wait(process, seconds)
    del running[number]
    code = 124 if is_late else process.returncode
    answer(number, code=code, output=(output or b"").decode(errors="replace"),
           error=(errors or b"").decode(errors="replace"))


def obey(line):
    order = json.loads(line)
    number = order["id"]
    if "end" in order:
        if number in running:
            kill(running[number], signal.SIGKILL)
        return
    threading.Thread(target=run, daemon=True,
                     args=(number, order["words"], order.get("seconds"), order.get("log"))).start()


def children():
    found = []
    for path in glob.glob("/proc/self/task/*/children"):
        try:
            with open(path) as file:
                found += map(int, file.read().split())
        except FileNotFoundError:
            pass  # The thread has ended: its children are another's now.
    return found


def end_all():
    # The children of what is killed become children of this process: until there are none.
    while threading.active_count() > 1 or children():
        for pid in children():
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)
            except (ProcessLookupError, ChildProcessError):
                pass  # The thread that has started it was faster.
        time.sleep(0.01)


def tidy():
    with open("/proc/self/mounts") as file:
        mounts = [line.split()[1] for line in file]
    for mount in reversed(mounts):
        if f"/{mark}" in mount and not mount.startswith("/run/netns/"):
            subprocess.run(["umount", "-l", mount])
    spaces = glob.glob(f"{mark}*", root_dir="/run/netns")
    if spaces:
        lines = "".join(f"netns delete {space}\n" for space in spaces)
        subprocess.run(["ip", "-force", "-batch", "-"], input=lines.encode())
    for place in ("/var/tmp", "/dev/shm"):
        for directory in glob.glob(f"{place}/{mark}*"):
            shutil.rmtree(directory)


os.closerange(3, os.sysconf("SC_OPEN_MAX"))
# The thread that has started this process may keep signals from itself, which children would inherit.
signal.pthread_sigmask(signal.SIG_SETMASK, [])
# In a group of its own, and deaf to what ends the test process: it has to stay a moment longer.
os.setsid()
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda *_: None)  # Not SIG_IGN, which its children would inherit.
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
try:
    for line in peer.makefile("rb"):
        obey(line)
except ConnectionError:
    pass  # It was killed before it had read all that it was told.
end_all()
tidy()
