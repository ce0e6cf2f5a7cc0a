"""Refuses an issuer whose tokens API Gateway cannot verify: issuer.py ISSUER

API Gateway's authorizer reads the keys that the issuer's /.well-known/openid-configuration names, and verifies RSA signatures alone
(https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html). An issuer that cannot be asked from here
is let pass with a warning: API Gateway may reach it.
"""

import json
import sys
import urllib.request

# More than any issuer's documents have.
MOST_BYTES = 1 << 20
SECONDS = 10


def fetch(url):
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:
        return json.loads(answer.read(MOST_BYTES))


def key_types(issuer):
    """Returns the types of the keys that an issuer publishes, such as RSA and EC."""
    configuration = fetch(issuer.rstrip("/") + "/.well-known/openid-configuration")
    return {key["kty"] for key in fetch(configuration["jwks_uri"])["keys"]}


def main(issuer):
    try:
        types = key_types(issuer)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"the keys of {issuer} cannot be read from here, so it is not known whether ApiAuthorizer can verify its tokens: {error}", file=sys.stderr)
        return
    if "RSA" not in types:
        found = ", ".join(sorted(types)) or "no"
        sys.exit(f"ApiAuthorizer=true would refuse every token of {issuer}: API Gateway verifies RSA signatures alone, and the issuer publishes {found} keys")
    if types != {"RSA"}:
        print(f"{issuer} also publishes keys that are not RSA: ApiAuthorizer=true refuses tokens that are signed with them", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1])
