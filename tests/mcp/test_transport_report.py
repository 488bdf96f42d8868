"""The reason why an MCP server ended is the last meaningful line of its error output."""

import pytest

from prompt_objects.mcp.transport_report import TransportReport

STDERR = {
    "": "",
    "starting\nout of luck\n\n": "out of luck",
    """\
Traceback (most recent call last):
  File "a.py", line 1, in <module>
    import nope
ModuleNotFoundError: No module named 'nope'
""": "ModuleNotFoundError: No module named 'nope'",
    """\
  + Exception Group Traceback (most recent call last):
  |   File "s.py", line 3
  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "s.py", line 9, in run
    | ValueError: TOKEN is not set
    +------------------------------------
""": "ValueError: TOKEN is not set",
    """\
node:internal/modules/cjs/loader:1228
  throw err;
  ^

Error: Cannot find module '/srv/x.js'
    at Function._load (node:internal/modules/cjs/loader:1211:15)
    at node:internal/main/run_main_module:36:49 {
  code: 'MODULE_NOT_FOUND',
  requireStack: []
}

Node.js v22.11.0
""": "Error: Cannot find module '/srv/x.js'",
    """\
npm error code E404
npm error 404 Not Found - GET https://registry.npmjs.org/nope - Not found
npm error 404
npm error 404  'nope@*' is not in this registry.
npm error 404
npm error 404 Note that you can also install from a
npm error 404 tarball, folder, http url, or git folder.
npm error A complete log of this run can be found in: /home/ann/.npm/_logs/1-debug-0.log
""": "npm error 404  'nope@*' is not in this registry.",
    """\
  \N{MULTIPLICATION SIGN} No solution found when resolving tool dependencies:
  ╰─▶ Because nope was not found in the package registry, your requirements are unsatisfiable.
""": "Because nope was not found in the package registry, your requirements are unsatisfiable.",
    """\
docker: Error response from daemon: pull access denied for nope, repository does not exist.

Run 'docker run --help' for more information
""": "docker: Error response from daemon: pull access denied for nope, repository does not exist.",
    """\
panic: TOKEN is not set

goroutine 1 [running]:
main.main()
\t/srv/main.go:5 +0x18
exit status 2
""": "panic: TOKEN is not set",
    """\
Exception in thread "main" java.lang.IllegalStateException: TOKEN is not set
\tat com.example.Server.main(Server.java:5)
\t... 2 more
""": 'Exception in thread "main" java.lang.IllegalStateException: TOKEN is not set',
    """\
thread 'main' panicked at src/main.rs:4:5:
TOKEN is not set
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
""": "TOKEN is not set",
    """\
\x1b[31merror\x1b[39m: unexpected argument '--x' found

For more information, try '--help'.
""": "error: unexpected argument '--x' found",
}


@pytest.mark.parametrize("output", STDERR, ids=lambda output: STDERR[output] or "nothing")
def test_the_reason_of_a_program_is_its_last_meaningful_line(output: str) -> None:
    report = TransportReport()
    for line in output.splitlines(keepends=True):
        report.add(line.encode())
    assert str(report) == STDERR[output]
