"""What the benchmarks of the network share: namespaces, the manifest that is measured, the daemon, how figures are told."""
import http.client, json, os, shutil, signal, socket, statistics, subprocess, sys, tempfile, time

# A Linux bridge has 1,023 ports at most.
NICS_PER_SWITCH = 1000
TITLE = os.path.basename(sys.argv[0])
# Whoever ends it finds the namespaces and the processes gone.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def fail(words):
    sys.exit(f"{TITLE}: {words}")


def binary(path):
    """The agent that is measured, and what it takes to measure it."""
    path = os.path.abspath(path)
    if os.geteuid() != 0:
        fail("needs root (it makes network namespaces of its own)")
    if not os.access(path, os.X_OK):
        fail(f"no {path}; build it with `make build`")
    return path


def need(packages, *tools):
    missing = [tool for tool in tools if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin")]
    if missing:
        fail(f"no {', '.join(missing)}; apt-get install {packages}")


class Space:
    """A network namespace that goes with the block."""

    def __init__(self, name):
        self.name = f"sdb-{os.getpid()}-{name}"

    def __enter__(self):
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "netns", "delete", self.name], check=True)

    def words(self, *words):
        return ["nsenter", f"--net=/run/netns/{self.name}", *words]

    def timed(self, *words, codes=(0,)):
        """Wall seconds of one command in the namespace, and what it printed."""
        start = time.monotonic()
        ended = subprocess.run(
            self.words(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, text=True)
        seconds = time.monotonic() - start
        if ended.returncode not in codes:
            fail(f"`{' '.join(words)}` ended with {ended.returncode}:\n{ended.stdout[-2000:]}")
        return seconds, ended.stdout

    def run(self, *words):
        return self.timed(*words)[1]


# MARK: The manifest

TEAMS = 16


class Node:
    """A manifest of NICs with groups, and small changes of it.

    Every NIC has two addresses and two groups: one that all share, and that of its team, within which all may talk. So
    there are as many policies as teams, and each NIC is a member that others' rules name.
    """

    def __init__(self, nics, groups=True):
        self.groups, self.ports, self.office = groups, [22, 443], ["192.0.2.0/24", "'2001:db8:77::/48'"]
        self.nics = {number: self.address(number) for number in range(nics)}
        self.far = {}

    @staticmethod
    def address(number):
        return f"10.{10 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}"

    def text(self):
        switches = range(-(-max(len(self.nics), 1) // NICS_PER_SWITCH))
        lines = ["switches:", *(f"  blue{number}: {{}}" for number in switches)]
        if self.groups:
            ports = ", ".join(str(port) for port in self.ports)
            lines += [
                f"addressSets: {{ office: [{', '.join(self.office)}] }}", "groups:", "  all:", "    ingress:",
                f"      - {{ protocol: tcp, ports: [{ports}], from: {{ set: office }} }}",
                "      - { protocol: icmp, types: echo-request }", "      - { protocol: icmpv6, types: echo-request }",
                "    egress: [ { protocol: any } ]"]
            for team in range(TEAMS):
                lines += [
                    f"  team{team}:", "    ingress:", f"      - {{ protocol: any, from: {{ group: team{team} }} }}"]
        lines.append("vms:")
        for number, address in self.nics.items():
            groups = f", groups: [all, team{number % TEAMS}]" if self.groups else ""
            lines += [
                f"  vm{number}:",
                f"    nics: [{{ switch: blue{number // NICS_PER_SWITCH % len(switches)}, address: "
                f"[{address}, 'fd00:10::{number + 1:x}']{groups}{self.far.get(number, '')} }}]"]
        return "\n".join(lines) + "\n"


def loadable(rules):
    """A ruleset as `nft list` shows ours, for `nft -f` in another namespace.

    Of some things nft 1.0.6 cannot read what it prints: flags that say who owns a table, rules that look into raw
    payload, maps to zones of conntrack. A peer goes without them; how many they are does not depend on the number of
    NICs.
    """
    kept, isWithin = [], False
    for line in rules.splitlines(True):
        isWithin = isWithin or line.startswith("\tmap zones")
        foreign = any(word in line for word in ("@th,", "@nh,", "@ll,", "@zones")) or line.startswith("\tflags")
        if not isWithin and not foreign:
            kept.append(line)
        isWithin = isWithin and line != "\t}\n"
    return "".join(kept)


# MARK: The daemon

class Daemon:
    """`sdagent run` in a namespace, and its control socket."""

    def __init__(self, agent, space, folder, text):
        self.manifest = os.path.join(folder, "node.yaml")
        self.path = os.path.join(folder, "socket")
        with open(self.manifest, "w") as file:
            file.write(text)
        with open(os.path.join(folder, "log"), "w") as log:
            self.child = subprocess.Popen(
                space.words(agent, "run", "-f", self.manifest, "--state", os.path.join(folder, "state"),
                            "--socket", self.path), stdout=log, stderr=log)
        self.log = os.path.join(folder, "log")

    def __enter__(self):
        for _ in range(600):
            try:
                daemon = json.loads(self.send("GET", "/v1/status"))["daemon"]
                if daemon.get("looked"):
                    return self
            except OSError:
                pass
            if self.child.poll() is not None:
                break
            time.sleep(0.1)
        self.__exit__()
        with open(self.log) as log:
            fail("the daemon does not come up:\n" + log.read()[-2000:])

    def __exit__(self, *_):
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()

    def send(self, method, path, body=None):
        connection = http.client.HTTPConnection("sdagent", timeout=300)
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(self.path)
            connection.request(method, path, body)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            fail(f"{method} {path}: {answer.status}\n{text.decode()[:2000]}")
        return text

    def apply(self, text):
        return json.loads(self.send("POST", "/v1/apply", text.encode()))

    def processor_seconds(self):
        """User and system time of all its threads."""
        total = 0
        for task in os.listdir(f"/proc/{self.child.pid}/task"):
            # Nanoseconds on a processor: finer than the ticks of `stat`.
            with open(f"/proc/{self.child.pid}/task/{task}/schedstat") as file:
                total += int(file.read().split()[0])
        return total / 1e9

    def memory(self):
        """Resident megabytes: now, and the most it ever was."""
        with open(f"/proc/{self.child.pid}/status") as file:
            fields = dict(line.split(":", 1) for line in file.read().splitlines() if ":" in line)
        return tuple(int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))


def folder():
    return tempfile.TemporaryDirectory(prefix="sdagent-bench-")


# MARK: Figures

class Table:
    """Rows of what was measured, each with what is asked and whether it is met."""

    def __init__(self, columns):
        self.columns = columns
        print(f"\n{'':26}{''.join(f'{column:>12}' for column in columns)}  {'ratio':20} asked")

    def row(self, title, cells, ratios=None, asked="", isMet=None):
        told = "".join(f"{cell:>12}" for cell in cells) + " " * 12 * (len(self.columns) - len(cells))
        verdict = "" if isMet is None else "  met" if isMet else "  MISSED"
        print(f"{title:26}{told}  {spread(ratios) if ratios else '':20} {asked}{verdict}", flush=True)


def spread(values, digits=2):
    """The median, and between what it lies."""
    values = sorted(values)
    return f"{statistics.median(values):.{digits}f} ({values[0]:.{digits}f}-{values[-1]:.{digits}f})"
