import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { faultIn } from '../../src/jobs/templates/json-text.js';
import { TemplateLibrary } from '../../src/jobs/templates/library.js';
import { problemText } from '../../src/jobs/templates/problem.js';
import { quotedPlaceholders } from '../../src/jobs/templates/quoted-placeholders.js';
import { TemplateReader } from '../../src/jobs/templates/read-template.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'jr-templates-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const reader = new TemplateReader();
const params = (properties: object, more: object = {}) =>
  JSON.stringify({
    description: 'x',
    args: 'optional',
    params: { type: 'object', additionalProperties: false, properties, ...more },
  });

/** Reads a template with these files. */
async function read(json: string | undefined, script: string | undefined) {
  rmSync(join(folder, 'train'), { recursive: true, force: true });
  mkdirSync(join(folder, 'train'));
  if (json !== undefined) writeFileSync(join(folder, 'train/template.json'), json);
  if (script !== undefined) writeFileSync(join(folder, 'train/job.sh'), script);
  const { problems, warnings, template } = await reader.read(join(folder, 'train'), 'train');
  expect(template === undefined).toBe(problems.length > 0);
  return { problems: problems.map(problemText), warnings: warnings.map(problemText) };
}

const plain = '{"description": "x"}';

test.each<[string, string | undefined, string | undefined, string]>([
  ['a missing template.json', undefined, 'true', 'template.json: is missing'],
  ['a missing job.sh', plain, undefined, 'job.sh: is missing'],
  [
    'a comma too many',
    '{\n  "description": "x",\n}\n',
    'true',
    'template.json, line 3: is not JSON: unexpected "}"',
  ],
  ['an empty file', '', 'true', 'template.json, line 1: is not JSON: unexpected end of the file'],
  [
    'an unclosed object',
    '{\n',
    'true',
    'template.json, line 2: is not JSON: unexpected end of the file',
  ],
  [
    'an unknown key',
    '{\n  "description": "x",\n  "arg": "optional"\n}',
    'true',
    'template.json, line 3: arg: no such key (did you mean args?); available: description, dataset, command, script, args, params',
  ],
  [
    'a missing description',
    '{}',
    'true',
    'template.json, line 1, description: expected a text that says what the template does',
  ],
  [
    'a wrong value',
    '{\n"description": "x",\n\n"args": "always"}',
    'true',
    'template.json, line 4, args: Invalid option: expected one of "required"|"optional"|"none"',
  ],
  [
    'a wrong parameter schema',
    '{"description": "x",\n"params": {"type": "object", "properties": {\n"epochs": {\n"type": "integr"}}}}',
    'true',
    'template.json, line 4, params.properties.epochs.type: must be equal to one of the allowed values',
  ],
  [
    'an unknown placeholder',
    plain,
    'true\necho {{arg}}',
    'job.sh, line 2, {{arg}}: no such placeholder (did you mean {{args}}?); available: dataset_dir, dataset_file, output_dir, template_dir, script, command, args, params',
  ],
  [
    'an unknown parameter',
    params({ epochs: { default: 1 } }),
    'echo {{params.epoch}}',
    'job.sh, line 1, {{params.epoch}}: no such parameter in template.json (did you mean {{params.epochs}}?); available: dataset_dir, dataset_file, output_dir, template_dir, script, command, args, params, params.epochs',
  ],
  [
    'a syntax error',
    plain,
    'if true; then\n  echo {{params}}\nfii\n',
    'job.sh, line 4: bash: syntax error: unexpected end of file',
  ],
  [
    'a wrong word',
    plain,
    'echo a\n) b\n',
    "job.sh, line 2: bash: syntax error near unexpected token `)'",
  ],
])('a template with %s tells its file, line and field', async (_, json, script, problem) => {
  expect((await read(json, script)).problems).toEqual([problem]);
});

test.each<[string, string, string, string]>([
  [
    'a placeholder inside quotes',
    params({ x: { default: '' } }),
    'true\necho "{{params.x}}"',
    'job.sh, line 2, {{params.x}}: stands in quotes, where bash runs commands that its value holds; it is a quoted word already: write it alone, or assign it to a variable first',
  ],
  [
    'a parameter that may be missing',
    params({ x: {} }),
    'echo {{params.x}}',
    'job.sh, line 1, {{params.x}}: a job without this parameter is refused; list it in "required", or give it a "default" ("" for an empty word)',
  ],
  [
    'an input that it never has',
    plain,
    'echo {{command}}',
    'job.sh, line 1, {{command}}: is always empty: template.json says "command": "none"',
  ],
  [
    'spaces in a placeholder',
    params({ x: { default: '' } }),
    'echo {{ params.x }}',
    'job.sh, line 1, {{params.x}}: has spaces in its braces, so it stays as it is',
  ],
  [
    'Windows line ends',
    plain,
    'true\r\ntrue\r\n',
    'job.sh, line 1: ends with a carriage return, which bash takes for a part of the command; save the file with Unix line ends',
  ],
  [
    'an unknown keyword in its schema',
    '{"description": "x", "params": {"type": "object", "properties": {\n"x": {"minimun": 3}}}}',
    'true',
    'template.json, line 2, minimun: JSON Schema has no such keyword (did you mean minimum?); it has no effect',
  ],
  [
    'a here-document without its end',
    plain,
    'cat <<EOF\nx\n',
    "job.sh, line 2: bash: warning: here-document at line 1 delimited by end-of-file (wanted `EOF')",
  ],
])('a template with %s can be used, and is warned of', async (_, json, script, warning) => {
  expect(await read(json, script)).toEqual({ problems: [], warnings: [warning] });
});

test('a template in order has neither problems nor warnings', async () => {
  const json = params(
    { x: { default: '' }, y: {}, 'learning-rate': { default: 1 } },
    { required: ['y'] },
  );
  const script = `# "{{params.x}}"
for word in {{args}}; do echo a{{params.x}}b "c"{{params.y}} {{params.learning-rate}}; done
docker ps --format '{{.ID}}'
shopt -s extglob
case {{params.y}} in !(a|b)) echo no ;; esac
echo "$(printf %s {{params.x}})" \${JR_PARAMS:-{{params}}}`;
  expect(await read(json, script)).toEqual({ problems: [], warnings: [] });
});

test('the built-in templates have neither problems nor warnings', async () => {
  for (const key of readdirSync('templates')) {
    const { problems, warnings } = await reader.read(join('templates', key), key);
    expect({ key, problems, warnings }).toEqual({ key, problems: [], warnings: [] });
  }
});

test('files that are too large, no files, or no text are told', async () => {
  expect((await read(plain, '#'.repeat(1024 ** 2 + 1))).problems).toEqual([
    'job.sh: is larger than 1024 KiB',
  ]);
  await read(plain, undefined);
  mkdirSync(join(folder, 'train/job.sh'));
  const again = () => reader.read(join(folder, 'train'), 'train');
  expect((await again()).problems).toMatchObject([{ file: 'job.sh', message: 'is not a file' }]);
  rmSync(join(folder, 'train/job.sh'), { recursive: true });
  execFileSync('mkfifo', [join(folder, 'train/job.sh')]);
  expect((await again()).problems).toMatchObject([{ file: 'job.sh', message: 'is not a file' }]);
  rmSync(join(folder, 'train/job.sh'));
  writeFileSync(join(folder, 'train/job.sh'), Buffer.from([0xff, 0xfe]));
  expect((await again()).problems).toMatchObject([{ message: 'is not UTF-8 text' }]);
});

test('the start tells of a template that replaces a built-in one, and of a missing folder', async () => {
  const own = join(folder, 'own');
  const library = new TemplateLibrary('templates', own);
  expect(await library.notices()).toEqual([
    'JR_TEMPLATES: its folder does not exist; it counts as soon as it does',
  ]);
  for (const key of ['mine', 'shell']) mkdirSync(join(own, key), { recursive: true });
  expect(await library.notices()).toEqual([
    'JR_TEMPLATES: its template shell replaces the built-in one',
  ]);
});

test('checking a script executes nothing of it', async () => {
  const trace = join(folder, 'trace');
  await read(plain, `touch ${trace}\n: $(touch ${trace})\nexec touch ${trace}\n`);
  expect(existsSync(trace)).toBe(false);
});

describe('placeholders inside quotes', () => {
  const inside = (script: string) =>
    quotedPlaceholders(script).map(({ name, line }) => `${line} ${name}`);

  test.each([
    ['echo "a {{x}}"'],
    ["echo 'a {{x}}'"],
    ["echo $'it\\'s {{x}}'"],
    ['echo "${A:-{{x}}}"'],
    ['echo "$(echo "{{x}}")"'],
    ['echo "`echo` {{x}}"'],
  ])('are found in %j', (script) => {
    expect(inside(script)).toEqual(['1 x']);
  });

  test.each([
    ['echo {{x}}'],
    ['echo "a"{{x}}\'b\''],
    ['echo "$(echo {{x}})"'],
    ['echo "$((1 << 2))" {{x}}'],
    ['echo $((1<<2))\n{{x}}'],
    ['# it\'s "\necho {{x}}'],
    ['echo a#"b" {{x}}'],
    ['echo \\" {{x}} \\"'],
    ["cat <<<'a'\necho {{x}}"],
  ])('are not found in %j', (script) => {
    expect(inside(script)).toEqual([]);
  });

  test('are found in here-documents, up to the end of each', () => {
    const script = `cat <<A - <<-'B'\n{{a}}\nA\n\t{{b}} "\n\tB\necho {{c}} "{{d}}"\n`;
    expect(inside(script)).toEqual(['2 a', '4 b', '6 d']);
  });
});

test.each([
  ['{"a": [1, {"b": null}], "c": "\\u00e4\\n"} x', 41],
  ['{"a": 01}', 6],
  ["{'a': 1}", 1],
  ['{"a" 1}', 5],
  ['[1 2]', 3],
  ['[1,]', 3],
  ['{"a": tru}', 6],
  ['"a\nb"', 0],
  ['[{"a": 1]', 8],
  ['', 0],
])('%j stops being JSON at %i', (text, position) => {
  expect(() => void JSON.parse(text)).toThrow();
  expect(faultIn(text)).toBe(position);
});
