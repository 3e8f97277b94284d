"""Every client against a forged chain that it trusts, with --mode audit over a policy that enforces."""
import clients
from expect import cases, check_verification, check_violation, equal
from host import check
from test_matrix import begin, prepare


@cases(*[(client.name, "1.3", 6) for client in clients.ALL])
def test_forged_would_be_killed(env, name, tls, family):
    agent = prepare(env, "audit", name)
    client, server, run = begin(env, "audit", name, "forged-leaf", True, tls=tls, family=family)
    check(run.wait(), "the client was not served, though the agent only audits")
    (event,) = agent.verifications(server.port)
    check_verification(event, client, server, env.fixtures, "forged-leaf")
    check_violation(event, "localhost-issuer", "would-kill", mode="audit")
    equal(event, "tlswarden.verify.result", client.good_result)
