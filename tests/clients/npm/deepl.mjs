// What the official client of DeepL makes of the server at the given address, as JSON.
// The keys: a good one, one that is used up, and one that may ask once a minute.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import * as deepl from "deepl-node";

const [url, text, good, empty, slow] = process.argv.slice(2);

const patience = { maxRetries: 0, minTimeout: 30_000 };
const connect = (key) => new deepl.DeepLClient(key, { serverUrl: url, ...patience });
const refusal = (work) =>
  work.then(
    () => null,
    (error) => ({ kind: error.constructor.name, message: error.message }),
  );

const translateDocument = async (client, content) => {
  const handle = await client.uploadDocument(Buffer.from(content), "de", "en-US", {
    filename: "letter.txt",
  });
  let status;
  do {
    await sleep(50);
    status = await client.getDocumentStatus(handle);
  } while (status.ok() && !status.done());
  const unknown = await refusal(
    client.uploadDocument(Buffer.from("a"), "de", "en-US", { filename: "a.xyz" }),
  );
  const folder = await mkdtemp(join(tmpdir(), "deepl-"));
  await client.downloadDocument(handle, join(folder, "result.txt"));
  const text = await readFile(join(folder, "result.txt"), "utf8");
  await rm(folder, { recursive: true });
  const again = await refusal(client.getDocumentStatus(handle));
  return { text, billed: status.billedCharacters, unknown, again };
};

const useGlossaries = async (client) => {
  const entries = (terms) => new deepl.GlossaryEntries({ entries: terms });
  const one = await client.createGlossary("animals", "de", "en", entries({ Hund: "hound" }));
  const both = await client.createMultilingualGlossary("both", [
    { sourceLangCode: "de", targetLangCode: "en", entries: entries({ Hund: "hound" }) },
    { sourceLangCode: "en", targetLangCode: "de", entries: entries({ dog: "Hund" }) },
  ]);
  const renamed = await client.updateMultilingualGlossaryName(both, "pets");
  const added = await client.updateMultilingualGlossaryDictionary(both, {
    sourceLangCode: "de",
    targetLangCode: "en",
    entries: entries({ Katze: "cat" }),
  });
  const replaced = await client.replaceMultilingualGlossaryDictionary(both, {
    sourceLangCode: "en",
    targetLangCode: "de",
    entries: entries({ cat: "Katze", mouse: "Maus" }),
  });
  const read = await client.getMultilingualGlossaryDictionaryEntries(both, "de", "en");
  const told = {
    pairs: await client.getGlossaryLanguagePairs(),
    one: { sourceLang: one.sourceLang, targetLang: one.targetLang, entryCount: one.entryCount },
    listed: (await client.listGlossaries()).map((each) => each.glossaryId === one.glossaryId),
    entries: (await client.getGlossaryEntries(one)).entries(),
    renamed: renamed.name,
    added: added.dictionaries,
    replaced,
    read: read.entries.entries(),
    numMultilingual: (await client.listMultilingualGlossaries()).length,
  };
  await client.deleteMultilingualGlossaryDictionary(both, "en", "de");
  await client.deleteMultilingualGlossary(both);
  await client.deleteGlossary(one);
  return { ...told, gone: await refusal(client.getGlossary(one.glossaryId)) };
};

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
    tagged: await client.translateText("Das <b>Haus</b> <x>Hund</x>", "de", "en-US", {
      tagHandling: "xml",
      ignoreTags: ["x", "y"],
      outlineDetection: false,
    }),
    sources: await client.getSourceLanguages(),
    targets: await client.getTargetLanguages(),
    usage: await client.getUsage(),
    glossaries: await useGlossaries(client),
    document: await translateDocument(client, text),
    refused: {
      target: await refusal(client.translateText(text, "de", "xx")),
      key: await refusal(connect("wrong").getUsage()),
      quota: await refusal(connect(empty).translateText(text, "de", "en-US")),
      rate: await refusal(slowClient.getUsage()),
    },
  }),
);
