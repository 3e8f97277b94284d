"""SIGHUP: another policy takes effect; a broken one is rejected, and the old one stays in force."""
import clients
import servers
from agent import get
from expect import check_allowed, check_violation, equal
from host import check


def ask(env, agent, leaf, served):
    client = clients.BY_NAME["curl"]
    server = env.watch(client.server(env.fixtures, leaf, delay=servers.ANSWER_DELAY if served else servers.PATIENCE))
    run = env.watch(client.start(env.host, server, env.trusting))
    check(run.wait() == served, f"{leaf}: served is {not served}")
    return agent.verifications(server.port)[0]


def test_reload(env):
    agent = env.new_agent(env.fixtures.policy(mode="audit"), name="reload")
    check_violation(ask(env, agent, "forged-leaf", True), "localhost-issuer", "would-kill", mode="audit")

    event = agent.reload(env.fixtures.policy(mode="enforce"))
    equal(event, "event.action", "policy-loaded")
    check_violation(ask(env, agent, "forged-leaf", False), "localhost-issuer", "killed")
    check_allowed(ask(env, agent, "good-leaf", True))

    broken = env.fixtures.policy(mode="audit") + "    nonsense: 1\n"
    event = agent.reload(broken)
    equal(event, "event.action", "policy-rejected")
    equal(event, "event.outcome", "failure")
    text = str(get(event, "tlswarden"))
    place = f"{agent.policy_path}:{broken.count(chr(10))}:5: "
    check(place in text and "nonsense" in text, f"the event does not say what is wrong where: {text}")
    check_violation(ask(env, agent, "forged-leaf", False), "localhost-issuer", "killed")
    check_allowed(ask(env, agent, "good-leaf", True))

    event = agent.reload(env.fixtures.policy(mode="audit"))
    equal(event, "event.action", "policy-loaded")
    check_violation(ask(env, agent, "forged-leaf", True), "localhost-issuer", "would-kill", mode="audit")
