// provider.mjs - panva's oidc-provider as a provider for our tests: one client, whose secret is the first
// argument, one account for each login, its own forms for signing in and agreeing. Prints its address;
// a line on its standard input takes up new facts of all accounts: {"groups": [...], "gone": true}.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.cwd()}/`);
const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")).href);
const facts = { groups: ["dev"], gone: false };
createInterface({ input: process.stdin }).on("line", (line) => {
  Object.assign(facts, JSON.parse(line));
  console.log("taken up");
});

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: "sextant", client_secret: process.argv[2], redirect_uris: ["http://127.0.0.1/"],
      grant_types: ["authorization_code", "refresh_token"] }],
    claims: { openid: ["sub"], profile: ["name", "preferred_username"], email: ["email", "email_verified"], groups: ["groups"] },
    findAccount: (_, id) => facts.gone ? undefined : {
      accountId: id,
      claims: () => ({ sub: id, name: `Somebody called ${id}`, preferred_username: id, email: `${id}@example.org`,
        email_verified: true, groups: facts.groups.map((name) => ({ name })) }),
    },
    issueRefreshToken: () => true,
    pkce: { required: () => true },
    cookies: { keys: ["one of the tests"] },
  });
  // The server under test listens at any free port, which nobody knows yet.
  provider.Client.prototype.redirectUriAllowed = (uri) => new URL(uri).pathname === "/login/oidc/callback";
  provider.Client.prototype.postLogoutRedirectUriAllowed = (uri) => new URL(uri).pathname === "/login";
  provider.on("server_error", (_, error) => console.error(error));
  server.on("request", provider.callback());
  console.log(issuer);
});
