// A provider of the npm package oidc-provider: whoever types a name is that person of the domain.
// Usage: node oidc_provider.mjs MODULES PORT DOMAIN CALLBACK
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [modules, port, domain, callback] = process.argv.slice(2);
const found = createRequire(`${modules}/`).resolve("oidc-provider");
const library = await import(pathToFileURL(found));
const Provider = library.Provider ?? library.default;

const provider = new Provider(`http://localhost:${port}`, {
  clients: [{
    client_id: "latchkey",
    client_secret: "the-secret-of-the-portal",
    redirect_uris: [callback],
    grant_types: ["authorization_code"],
    response_types: ["code"],
  }],
  claims: { openid: ["sub", "groups"], email: ["email", "email_verified"], profile: ["name"] },
  cookies: { keys: ["a key for cookies of this test alone"] },
  pkce: { required: () => true },
  findAccount: async (context, id) => ({
    accountId: id,
    claims: async () => ({
      sub: id, email: `${id}@${domain}`, email_verified: !id.startsWith("eve"), name: "Ada", groups: ["staff"],
    }),
  }),
});
provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
