// Goes through every flow with npm's openid-client and oauth4webapi, as their own documentation writes it.
// ASKED holds what the proof prepared; each line printed is one walk: {"client", "walk", "error"}.
import assert from "node:assert/strict";
import * as oauth from "oauth4webapi";
import * as openid from "openid-client";

const asked = JSON.parse(process.env.ASKED);
const issuer = new URL(asked.base);
const models = new URL("/v1/models", issuer);
const insecure = {[oauth.allowInsecureRequests]: true};
const KEY_KINDS = {
  ES256: {name: "ECDSA", namedCurve: "P-256"},
  RS256: {name: "RSASSA-PKCS1-v1_5", hash: "SHA-256"},
  PS256: {name: "RSA-PSS", hash: "SHA-256"},
  EdDSA: {name: "Ed25519"},
};

async function walk(client, name, act) {
  let error = null;
  try { await act(); } catch (failed) { error = `${failed} ${failed.code ?? ""} ${JSON.stringify(failed.cause ?? null)}`; }
  console.log(JSON.stringify({client, walk: name, error}));
}

async function readKey(algorithm) {
  const {kid, ...jwk} = asked.keys[algorithm].jwk;
  delete jwk.key_ops;
  delete jwk.alg;
  return {key: await crypto.subtle.importKey("jwk", jwk, KEY_KINDS[algorithm], false, ["sign"]), kid};
}

/** What the person's browser does: opens the page and sends its form. */
async function decide(address, fields) {
  const cookie = `sessionid=${asked.session}`;
  const page = await fetch(address, {headers: {cookie}, redirect: "manual"});
  const text = await page.text();
  assert.equal(page.status, 200, `${page.status} ${text.slice(0, 300)}`);
  const token = text.match(/name="csrfmiddlewaretoken" value="([^"]+)"/)[1];
  const set = page.headers.getSetCookie().map(one => one.split(";")[0]);
  const body = new URLSearchParams({csrfmiddlewaretoken: token, team: asked.team, decision: "allow", ...fields});
  const headers = {cookie: [cookie, ...set].join("; "), origin: issuer.origin};
  const reply = await fetch(address, {method: "POST", headers, body, redirect: "manual"});
  assert.ok(reply.status === 303 || reply.status === 302, `${reply.status} ${(await reply.text()).slice(0, 300)}`);
  return reply.headers.get("location");
}

const allowDevice = code => decide(new URL("/oauth/device?user_code=" + code, issuer), {user_code: code});

function openidWalks() {
  const discover = (id, proof) => openid.discovery(
    issuer, id, undefined, proof, {algorithm: "oauth2", execute: [openid.allowInsecureRequests]});
  const opens = async (config, token) => {
    const reply = await openid.fetchProtectedResource(config, token, models, "GET");
    assert.equal(reply.status, 200);
  };
  const machine = proof => async () => {
    const config = await discover(asked.machine.id, proof(asked.machine.secret));
    const tokens = await openid.clientCredentialsGrant(config, {scope: "chat", resource: asked.base + "/v1"});
    await opens(config, tokens.access_token);
    const told = await openid.tokenIntrospection(config, tokens.access_token);
    assert.equal(told.active, true);
    assert.equal(told.client_id, asked.machine.id);
    await openid.tokenRevocation(config, tokens.access_token);
    assert.equal((await openid.tokenIntrospection(config, tokens.access_token)).active, false);
  };
  const signing = algorithm => async () => {
    const config = await discover(asked.keys[algorithm].id, openid.PrivateKeyJwt(await readKey(algorithm)));
    const tokens = await openid.clientCredentialsGrant(config, {scope: "chat"});
    await opens(config, tokens.access_token);
    assert.equal((await openid.tokenIntrospection(config, tokens.access_token)).active, true);
  };
  const person = (client, proof) => async () => {
    const config = await discover(client.id, proof);
    const verifier = openid.randomPKCECodeVerifier(), state = openid.randomState();
    const address = openid.buildAuthorizationUrl(config, {
      redirect_uri: asked.redirect, scope: "chat manage", state,
      code_challenge: await openid.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
    });
    const sent = new URL(await decide(address, {}));
    const tokens = await openid.authorizationCodeGrant(config, sent, {pkceCodeVerifier: verifier, expectedState: state});
    await opens(config, tokens.access_token);
    const renewed = await openid.refreshTokenGrant(config, tokens.refresh_token);
    assert.notEqual(renewed.access_token, tokens.access_token);
    await opens(config, renewed.access_token);
    await assert.rejects(openid.refreshTokenGrant(config, tokens.refresh_token), {error: "invalid_grant"});
    await assert.rejects(openid.refreshTokenGrant(config, renewed.refresh_token), {error: "invalid_grant"});
  };
  const device = async () => {
    const config = await discover(asked.device.id, openid.None());
    const begun = await openid.initiateDeviceAuthorization(config, {scope: "chat"});
    await allowDevice(begun.user_code);
    const tokens = await openid.pollDeviceAuthorizationGrant(config, begun);
    await opens(config, tokens.access_token);
    await openid.tokenRevocation(config, tokens.refresh_token);
    await assert.rejects(openid.refreshTokenGrant(config, tokens.refresh_token), {error: "invalid_grant"});
  };
  return {
    "machine, client_secret_basic": machine(openid.ClientSecretBasic),
    "machine, client_secret_post": machine(openid.ClientSecretPost),
    ...Object.fromEntries(Object.keys(KEY_KINDS).map(one => [`machine, private_key_jwt ${one}`, signing(one)])),
    "person, public client": person(asked.open, openid.None()),
    "person, client with a secret": person(asked.web, openid.ClientSecretBasic(asked.web.secret)),
    "device": device,
  };
}

async function webapiWalks() {
  const found = await oauth.discoveryRequest(issuer, {algorithm: "oauth2", ...insecure});
  const server = await oauth.processDiscoveryResponse(issuer, found);
  const opens = async token => {
    const reply = await oauth.protectedResourceRequest(token, "GET", models, undefined, undefined, insecure);
    assert.equal(reply.status, 200);
    const request = new Request(models, {headers: {authorization: `Bearer ${token}`}});
    return oauth.validateJwtAccessToken(server, request, asked.base + "/v1", insecure);
  };
  const tokensOf = async (client, reply) => oauth.processClientCredentialsResponse(server, client, reply);
  const introspect = async (client, proof, token) => oauth.processIntrospectionResponse(
    server, client, await oauth.introspectionRequest(server, client, proof, token, insecure));
  const revoke = async (client, proof, token) => oauth.processRevocationResponse(
    await oauth.revocationRequest(server, client, proof, token, insecure));
  const refresh = async (client, proof, token) => oauth.processRefreshTokenResponse(
    server, client, await oauth.refreshTokenGrantRequest(server, client, proof, token, insecure));
  const machine = (id, makeProof) => async () => {
    const client = {client_id: id}, proof = await makeProof();
    const form = new URLSearchParams({scope: "chat"});
    const reply = await oauth.clientCredentialsGrantRequest(server, client, proof, form, insecure);
    const {access_token: token} = await tokensOf(client, reply);
    assert.equal((await opens(token)).client_id, id);
    assert.equal((await introspect(client, proof, token)).active, true);
    await revoke(client, proof, token);
    assert.equal((await introspect(client, proof, token)).active, false);
  };
  const person = (facts, proof) => async () => {
    const client = {client_id: facts.id};
    const verifier = oauth.generateRandomCodeVerifier(), state = oauth.generateRandomState();
    const address = new URL(server.authorization_endpoint);
    address.search = new URLSearchParams({
      client_id: facts.id, redirect_uri: asked.redirect, response_type: "code", scope: "chat manage", state,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
    });
    const sent = oauth.validateAuthResponse(server, client, new URL(await decide(address, {})), state);
    const reply = await oauth.authorizationCodeGrantRequest(
      server, client, proof, sent, asked.redirect, verifier, insecure);
    const tokens = await oauth.processAuthorizationCodeResponse(server, client, reply);
    await opens(tokens.access_token);
    const renewed = await refresh(client, proof, tokens.refresh_token);
    await opens(renewed.access_token);
    await revoke(client, proof, renewed.refresh_token);
    await assert.rejects(refresh(client, proof, renewed.refresh_token), {error: "invalid_grant"});
  };
  const device = async () => {
    const client = {client_id: asked.device.id}, proof = oauth.None();
    const form = new URLSearchParams({scope: "chat"});
    const begun = await oauth.processDeviceAuthorizationResponse(
      server, client, await oauth.deviceAuthorizationRequest(server, client, proof, form, insecure));
    const poll = async () => oauth.processDeviceCodeResponse(
      server, client, await oauth.deviceCodeGrantRequest(server, client, proof, begun.device_code, insecure));
    await assert.rejects(poll(), {error: "authorization_pending"});
    await allowDevice(begun.user_code);
    await new Promise(done => setTimeout(done, (begun.interval ?? 5) * 1000 + 500));
    await opens((await poll()).access_token);
  };
  const resource = async () => {
    for (const path of ["/v1", "/api/v1"]) {
      const at = new URL(asked.base + path);
      const told = await oauth.processResourceDiscoveryResponse(at, await oauth.resourceDiscoveryRequest(at, insecure));
      assert.deepEqual(told.authorization_servers, [server.issuer]);
    }
  };
  const {machine: known, web, open} = asked;
  return {
    "metadata of the resources": resource,
    "machine, client_secret_basic": machine(known.id, () => oauth.ClientSecretBasic(known.secret)),
    "machine, client_secret_post": machine(known.id, () => oauth.ClientSecretPost(known.secret)),
    ...Object.fromEntries(Object.keys(KEY_KINDS).map(one => [
      `machine, private_key_jwt ${one}`,
      machine(asked.keys[one].id, async () => oauth.PrivateKeyJwt(await readKey(one))),
    ])),
    "person, public client": person(open, oauth.None()),
    "person, client with a secret": person(web, oauth.ClientSecretPost(web.secret)),
    "device": device,
  };
}

for (const [client, walks] of [["openid-client", openidWalks()], ["oauth4webapi", await webapiWalks()]])
  for (const [name, act] of Object.entries(walks)) await walk(client, name, act);
