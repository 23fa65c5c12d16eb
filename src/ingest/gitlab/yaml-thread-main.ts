import { parentPort } from 'node:worker_threads';
import { isScalar, parseDocument, visit, type ScalarTag, type Tags } from 'yaml';

// Main module of the thread that parses YAML. It answers each text with a YamlAnswer.

export type YamlAnswer = { json: string } | { error: string };

/** Maximum length of the result as JSON, in characters. */
const maxUnfolded = 16 * 1024 ** 2;
/** Maximum of values that aliases may stand for; the parser counts nested ones too. */
const maxAliases = 100;

/**
 * Booleans as PyYAML reads them, which other programs use for these files: `yes` is true, but `y`
 * is a text (pyyaml.org/wiki/PyYAMLDocumentation).
 */
const booleans = [
  booleanTag(true, /^(?:yes|Yes|YES|true|True|TRUE|on|On|ON)$/),
  booleanTag(false, /^(?:no|No|NO|false|False|FALSE|off|Off|OFF)$/),
];

/** Tags of values that JSON cannot express, and of dates, which stay as written. */
const dropped = /:(?:bool|timestamp|binary|set|omap|pairs)$/;

parentPort?.on('message', (text: string) => {
  parentPort?.postMessage(answerTo(text));
});

function answerTo(text: string): YamlAnswer {
  try {
    return { json: toJson(text) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

function toJson(text: string): string {
  const document = parseDocument(text, {
    version: '1.1',
    customTags,
    logLevel: 'error',
    // The parser would compare every key with every other; `checkKeys` is linear.
    uniqueKeys: false,
  });
  const [problem] = document.errors;
  if (problem) throw problem;
  visit(document, { Map: (_, map) => checkKeys(map.items.map(({ key }) => key)) });
  const value: unknown = document.toJS({ maxAliasCount: maxAliases });
  const json = JSON.stringify(value) ?? 'null';
  if (json.length > maxUnfolded)
    throw new Error(`it unfolds to more than ${maxUnfolded / 1024 ** 2} MiB`);
  return json;
}

function checkKeys(keys: unknown[]): void {
  const seen = new Set<string>();
  for (const key of keys) {
    const name = isScalar(key) ? String(key.value) : undefined;
    if (name === undefined || name === '<<') continue;
    if (seen.has(name)) throw new Error(`the key ${JSON.stringify(name.slice(0, 60))} comes twice`);
    seen.add(name);
  }
}

function customTags(tags: Tags): Tags {
  return [...booleans, ...tags.filter((tag) => typeof tag === 'string' || !dropped.test(tag.tag))];
}

function booleanTag(value: boolean, test: RegExp): ScalarTag {
  return {
    identify: (given) => given === value,
    default: true,
    tag: 'tag:yaml.org,2002:bool',
    test,
    resolve: () => value,
  };
}
