// What the clients of LibreTranslate make of the server at the given address, as JSON.

import { libreTranslate } from "libretranslate-ts";
import translate from "translate";

const [url, text] = process.argv.slice(2);

libreTranslate.setApiEndpoint(url);
translate.engine = "libre";
translate.url = `${url}/translate`;

console.log(
  JSON.stringify({
    ts: {
      languages: await libreTranslate.listLanguages(),
      detected: await libreTranslate.detect(text),
      translated: await libreTranslate.translate(text, "de", "en"),
      alternatives: await libreTranslate.translate(text, "de", "en", 2),
      refused: await libreTranslate.translate(text, "de", "zz"),
    },
    translate: {
      translated: await translate(text, { from: "de", to: "en" }),
      refused: await translate(text, { from: "de", to: "fr" }).catch((error) => error.message),
    },
  }),
);
