// What the official client of DeepL makes of the server at the given address, as JSON.
// The keys: a good one, one that is used up, and one that may ask once a minute.

import * as deepl from "deepl-node";

const [url, text, good, empty, slow] = process.argv.slice(2);

const connect = (key) => new deepl.DeepLClient(key, { serverUrl: url, maxRetries: 0 });
const refusal = (work) =>
  work.then(
    () => null,
    (error) => ({ kind: error.constructor.name, message: error.message }),
  );

const client = connect(good);
const slowClient = connect(slow);
await slowClient.getUsage();

console.log(
  JSON.stringify({
    one: await client.translateText(text, "de", "en-GB", { modelType: "quality_optimized" }),
    several: await client.translateText([text, "Hund & Katze"], null, "en-US", {
      splitSentences: "on",
      preserveFormatting: true,
      formality: "prefer_less",
      context: "Ein Gespräch.",
    }),
    sources: await client.getSourceLanguages(),
    targets: await client.getTargetLanguages(),
    usage: await client.getUsage(),
    refused: {
      target: await refusal(client.translateText(text, "de", "xx")),
      key: await refusal(connect("wrong").getUsage()),
      quota: await refusal(connect(empty).translateText(text, "de", "en-US")),
      rate: await refusal(slowClient.getUsage()),
    },
  }),
);
