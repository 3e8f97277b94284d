"""The output file, renamed as logrotate does: SIGHUP opens it again."""
import json
import os
import signal

from agent import EVENT_LIMIT
from expect import check_allowed
from host import check, wait_for
from test_reload import ask


def actions(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line)["event"]["action"] for line in lines]


def test_renamed_output_is_opened_again(env):
    agent = env.new_agent(env.fixtures.policy(mode="audit"), name="rotate")
    old = agent.output + ".1"
    os.rename(agent.output, old)
    agent.read_at = 0  # of the new file
    os.kill(agent.child.pid, signal.SIGHUP)
    wait_for("the new file", EVENT_LIMIT,
             lambda: os.path.exists(agent.output) and "policy-loaded" in actions(agent.output))
    check_allowed(ask(env, agent, "good-leaf", True))
    check("peer-verified" in actions(agent.output), "the event is not in the new file")
    check("peer-verified" not in actions(old), "events went on to the old file")
    check(os.stat(agent.output).st_mode & 0o007 == 0, "the new file can be read by anybody")
