"""`prompt-objects trust`: decide whether an environment may do what it brings."""

from argparse import Namespace

from prompt_objects.cli.command import DEBUG, YES, argument, shell_command
from prompt_objects.cli.json_output import print_lines
from prompt_objects.cli.streams import print_out
from prompt_objects.cli.targets import environment_folder


@shell_command(
    "trust",
    argument("folder", nargs="?", metavar="DIR", help="the environment's folder; by default the one that would open"),
    YES,
    argument("--show", action="store_true", help="only show what the environment would do"),
    argument("--revoke", action="store_true", help="end your trust in the environment"),
    argument("--env", metavar="DIR", help="the same as DIR"),
    common=(DEBUG,),
    examples=("trust --show", "trust team --yes"),
)
def trust(options: Namespace) -> int:
    """Show what an environment would do beyond the defaults, and decide whether it may.

    The exit code is 1 if it is not trusted afterwards.
    """
    from prompt_objects.cli.trust_question import ask, print_grants
    from prompt_objects.config.environment import read_config_document
    from prompt_objects.environment.locate import named_folder, require_environment
    from prompt_objects.environment.review import review
    from prompt_objects.environment.trust import Trust

    folder = require_environment(named_folder(options.folder) if options.folder else environment_folder(options))
    trusted = Trust.of_user()
    if options.revoke:
        trusted.refuse(folder)
        print_lines([f"No longer trusted: {folder}"])
        return 0
    document = read_config_document(folder)
    grants = review(folder, document and document.data)
    decision = trusted.decision(folder)
    if options.show or options.yes or decision.covers(grants):
        print_grants(folder, decision, grants)
    if options.show or decision.covers(grants):
        print_out("Trusted." if decision.covers(grants) else "Not trusted.")
        return int(not decision.covers(grants))
    if options.yes:
        trusted.accept(folder, grants)
    is_trusted = options.yes or ask(folder, decision, grants)
    print_out("Trusted until one of them changes." if is_trusted else "Not trusted; none of them takes effect.")
    return int(not is_trusted)
