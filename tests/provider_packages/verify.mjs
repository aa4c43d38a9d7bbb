// Asks the packages of providers on npm whether they accept requests: JSON on stdin, JSON on stdout.
// Argument: a folder with node_modules. `record.py` calls it. An exception is a rejection.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const folder = resolve(process.argv[2]);
const require = createRequire(join(folder, "package.json"));
const load = (name) => import(require.resolve(name));
const version = (name) => JSON.parse(readFileSync(join(folder, "node_modules", name, "package.json"), "utf8")).version;
const request = (one) => new Request(one.url, { method: "POST", headers: one.headers, body: one.body });

const CHECKS = {
  shopify: ["@shopify/shopify-api", async (one) => {
    require("@shopify/shopify-api/adapters/node");
    const { shopifyApi, ApiVersion } = require("@shopify/shopify-api");
    const options = { apiKey: "-", apiSecretKey: one.secret, hostName: "gateway.example", isEmbeddedApp: false };
    const log = { log: () => {} };
    const api = shopifyApi({ ...options, apiVersion: Object.values(ApiVersion).at(-2), logger: log });
    const [node, http] = [require("node:stream"), Object.entries(one.headers)];
    const rawRequest = Object.assign(node.Readable.from([one.body]), { method: "POST", url: one.url });
    rawRequest.headers = Object.fromEntries(http);
    return (await api.webhooks.validate({ rawBody: one.body, rawRequest })).valid;
  }],
  linear: ["@linear/sdk", async (one) => {
    const { LinearWebhookClient } = require("@linear/sdk/webhooks");
    return new LinearWebhookClient(one.secret).verify(Buffer.from(one.body), one.headers["linear-signature"],
      JSON.parse(one.body).webhookTimestamp);
  }],
  notion: ["@notionhq/client", async (one) => {
    const { verifyWebhookSignature } = require("@notionhq/client");
    const signature = one.headers["x-notion-signature"];
    return verifyWebhookSignature({ body: one.body, signature, verificationToken: one.secret });
  }],
  github: ["@octokit/webhooks-methods", async (one) => {
    const { verify } = await import(join(folder, "node_modules/@octokit/webhooks-methods/dist-node/index.js"));
    return verify(one.secret, one.body, one.headers["x-hub-signature-256"]);
  }],
  webflow: ["webflow-api", async (one) => {
    const { WebflowClient } = require("webflow-api");
    const client = new WebflowClient({ accessToken: "-" });
    return client.webhooks.verifySignature({ headers: one.headers, body: one.body, secret: one.secret });
  }],
  workos: ["@workos-inc/node", async (one) => {
    const { WorkOS } = require("@workos-inc/node");
    const [payload, sigHeader] = [JSON.parse(one.body), one.headers["workos-signature"]];
    return Boolean(await new WorkOS("-").webhooks.verifyHeader({ payload, sigHeader, secret: one.secret }));
  }],
  twitch: ["@twurple/eventsub-http", async (one) => {
    const { EventSubHttpBase } = await import(join(folder, "node_modules/@twurple/eventsub-http/lib/EventSubHttpBase.js"));
    const name = (part) => one.headers[`twitch-eventsub-message-${part}`];
    return EventSubHttpBase.prototype._verifyData.call({ _secret: one.secret }, name("id"), name("timestamp"), one.body,
      name("signature"));
  }],
  box: ["box-node-sdk", async (one) => {
    const { WebhooksManager } = require("box-node-sdk/managers/webhooks");
    return WebhooksManager.validateMessage(one.body, one.headers, one.secret, { maxAge: 600 });
  }],
  clerk: ["@clerk/backend", async (one) => {
    const { verifyWebhook } = require("@clerk/backend/webhooks");
    return Boolean(await verifyWebhook(request(one), { signingSecret: one.secret }));
  }],
  chargebee: ["chargebee", async (one) => {
    const { basicAuthValidator } = require("chargebee");
    await basicAuthValidator((user, word) => `${user}:${word}` === one.secret)(one.headers);
    return true;
  }],
};

const verdicts = [];
for (const one of JSON.parse(readFileSync(0, "utf8"))) {
  if (!(one.provider in CHECKS)) continue;
  const [name, check] = CHECKS[one.provider];
  let [accepted, why] = [false, ""];
  try {
    accepted = (await check(one)) === true;
  } catch (error) {
    why = `${error.name}: ${error.message}`.slice(0, 300);
  }
  verdicts.push({ id: one.id, package: `${name} ${version(name)} (npm)`, accepted, why });
}
process.stdout.write(JSON.stringify(verdicts));
process.exit(0);
