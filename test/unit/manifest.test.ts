import { parseManifest } from '../../src/ingest/gitlab/manifest.js';
import { YamlThread } from '../../src/ingest/gitlab/yaml-thread.js';
import { AppError } from '../../src/errors.js';

const yaml = new YamlThread();
afterAll(() => yaml.close());

const parse = (text: string) => parseManifest(Buffer.from(text), yaml);
const ids = async (text: string) => (await parse(text)).jobs.map(({ id }) => id);

async function refusal(text: string | Buffer): Promise<string> {
  try {
    await parseManifest(Buffer.from(text), yaml);
  } catch (error) {
    if (error instanceof AppError) return error.message;
    throw error;
  }
  throw new Error('it was accepted');
}

const example = `version: 1
jobs:
  - job_id: "job_001"
    job_type: "training"
    mode: "finetune"
    model: "stable-tts"
    epochs: 100
    inference: false
    voice_reference: "speaker_001"
    timeout: 3600
    canceled: false
  - job_id: "job_002"
    canceled: true
`;

test('jobs are read with all their fields', async () => {
  const { version, jobs, problems } = await parse(example);
  expect({ version, problems }).toEqual({ version: 1, problems: [] });
  expect(jobs).toEqual([
    {
      id: 'job_001',
      canceled: false,
      fields: {
        job_id: 'job_001',
        job_type: 'training',
        mode: 'finetune',
        model: 'stable-tts',
        epochs: 100,
        inference: false,
        voice_reference: 'speaker_001',
        timeout: 3600,
        canceled: false,
      },
    },
    { id: 'job_002', canceled: true, fields: { job_id: 'job_002', canceled: true } },
  ]);
});

test('a byte order mark and Windows line ends change nothing', async () => {
  expect(await parse(`\ufeff${example.replaceAll('\n', '\r\n')}`)).toEqual(await parse(example));
});

test('booleans are those of the Python tools: canceled: yes cancels', async () => {
  const { jobs } = await parse(
    'version: 1\njobs:\n  - {job_id: a, canceled: yes}\n  - {job_id: b, canceled: off}\n',
  );
  expect(jobs.map(({ canceled }) => canceled)).toEqual([true, false]);
});

test('a job whose canceled is neither true nor false is not listed', async () => {
  const { jobs, problems } = await parse(
    'version: 1\njobs:\n  - {job_id: a, canceled: "true"}\n  - {job_id: b}\n',
  );
  expect(jobs.map(({ id }) => id)).toEqual(['b']);
  expect(problems).toEqual(['jobs[0]: canceled: expected true or false']);
});

test('a bad job is a problem, and the others are listed', async () => {
  const { jobs, problems } = await parse(
    'version: 1\njobs:\n  - 5\n  - {job_type: x}\n  - {job_id: good}\n  - {job_id: [a]}\n  -\n',
  );
  expect(jobs.map(({ id }) => id)).toEqual(['good']);
  expect(problems.map((line) => line.split(':')[0])).toEqual([
    'jobs[0]',
    'jobs[1]',
    'jobs[3]',
    'jobs[4]',
  ]);
});

test.each([
  ['a slash', 'a/b'],
  ['a backslash', 'a\\b'],
  ['two dots', '..'],
  ['two dots inside', 'a..b'],
  ['a control character', 'a\u0007b'],
  ['a line end', 'a\nb'],
  ['a character that turns the text direction', 'a\u202eb'],
  ['a space at its end', 'a '],
  ['nothing', ''],
  ['too many characters', 'a'.repeat(129)],
])('an id with %s is refused, and the message does not contain it', async (_, id) => {
  const { jobs, problems } = await parse(
    `version: 1\njobs:\n  - job_id: ${JSON.stringify(id)}\n  - job_id: ok\n`,
  );
  expect(jobs.map((job) => job.id)).toEqual(['ok']);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatch(/^jobs\[0\]: job_id: expected [\x20-\x7e]*$/);
});

test('jobs with the same id are not listed, also when one id is a number', async () => {
  const { jobs, problems } = await parse(
    'version: 1\njobs:\n  - job_id: 7\n  - job_id: "7"\n  - job_id: 8\n  - job_id: "7"\n',
  );
  expect(jobs.map(({ id }) => id)).toEqual(['8']);
  expect(problems).toEqual(['7: 3 jobs have this id; none of them is listed']);
});

test('a manifest without jobs is no error', async () => {
  expect(await ids('version: 1\njobs:\n')).toEqual([]);
  expect(await ids('version: 0.9\n')).toEqual([]);
});

test.each([
  ['a newer version', 'version: 2\njobs: []\n', 'version: expected at most 1; this one is newer'],
  ['a version that is a text', 'version: "1"\njobs: []\n', 'version: expected a number, at most 1'],
  ['no version', 'jobs: []\n', 'version: expected a number, at most 1'],
  ['jobs that are not a list', 'version: 1\njobs: {a: 1}\n', 'jobs: expected a list'],
  ['a list', '- 1\n', 'expected version: and jobs:'],
  ['nothing', '', 'expected version: and jobs:'],
  [
    'a pointer of Git LFS',
    'version https://git-lfs.github.com/spec/v1\n',
    'expected version: and jobs:',
  ],
  ['invalid YAML', 'version: 1\njobs: [}\n', 'not YAML'],
  ['the same key twice', 'version: 1\njobs: []\njobs: []\n', 'the key "jobs" comes twice'],
  ['two documents', '---\nversion: 1\n---\nversion: 1\n', 'not YAML'],
  [
    'too deep nesting',
    `version: 1\njobs: ${'['.repeat(20_000)}`,
    'not YAML that can be used: Maximum call stack',
  ],
  ['bytes that are not text', Buffer.from([0xff, 0xfe, 0x00]), 'not UTF-8 text'],
  ['five megabytes', `version: 1\njobs: [] #${'x'.repeat(5e6)}`, 'larger than 2 MiB'],
])('a file with %s is refused', async (_, text, message) => {
  expect(await refusal(text)).toContain(message);
});

test('a YAML bomb is refused before it unfolds', async () => {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
  for (let i = 1; i < 12; i++)
    lines.push(
      `a${i}: &a${i} [${Array<string>(9)
        .fill(`*a${i - 1}`)
        .join(', ')}]`,
    );
  expect(await refusal(`version: 1\n${lines.join('\n')}\njobs: *a11\n`)).toContain('alias');
});

test('an anchor may be used several times', async () => {
  const { jobs } = await parse(
    'version: 1\nbase: &b {model: m}\njobs:\n  - {job_id: a, <<: *b}\n  - {job_id: b, <<: *b, model: n}\n',
  );
  expect(jobs.map(({ fields }) => fields['model'])).toEqual(['m', 'n']);
});

test('a key with a special meaning in JavaScript is an ordinary key', async () => {
  const { jobs } = await parse('version: 1\njobs:\n  - {job_id: a, __proto__: {canceled: true}}\n');
  expect(jobs[0]?.canceled).toBe(false);
  expect(({} as { canceled?: boolean }).canceled).toBeUndefined();
});

test('a date stays as written, and a tag of another language creates nothing', async () => {
  const { jobs } = await parse(
    'version: 1\njobs:\n  - {job_id: a, day: 2026-01-02, b: !!python/object:os.system x}\n',
  );
  expect(jobs[0]?.fields).toEqual({ job_id: 'a', day: '2026-01-02', b: 'x' });
});

test('5,000 jobs are read', async () => {
  const jobs = Array.from(
    { length: 5000 },
    (_, i) =>
      `  - job_id: "job_${i}"\n    job_type: training\n    mode: finetune\n    model: stable-tts\n    epochs: 100\n    canceled: false\n`,
  );
  expect(await ids(`version: 1\njobs:\n${jobs.join('')}`)).toHaveLength(5000);
});

test('a file that takes too long to read is refused, and the next file is read', async () => {
  const impatient = new YamlThread({ ms: 3000, heapMb: 1024 });
  try {
    // Each line costs the parser time and hardly any memory.
    const endless = `a:\n${'\n'.repeat(10_000_000)}  b\n`;
    await expect(impatient.read(endless)).rejects.toThrow('takes longer than 3 s');
    await expect(impatient.read('a: yes')).resolves.toEqual({ a: true });
  } finally {
    await impatient.close();
  }
});

test('closing does not wait for the present file or the next ones', async () => {
  const thread = new YamlThread({ ms: 3_600_000, heapMb: 256 });
  const long = `- ${'[a, b], '.repeat(100_000)}`;
  const reading = [thread.read(long), thread.read('a: 1')].map((each) =>
    expect(each).rejects.toThrow('thread'),
  );
  await new Promise((resolve) => setImmediate(resolve));
  await thread.close();
  await Promise.all(reading);
  await expect(thread.read('a: 1')).rejects.toThrow('closed');
});

test('a file that takes too much memory to read is refused, and the next file is read', async () => {
  const small = new YamlThread({ ms: 60_000, heapMb: 32 });
  try {
    await expect(small.read('- {a: 1}\n'.repeat(100_000))).rejects.toThrow('more than 32 MiB');
    await expect(small.read('a: y')).resolves.toEqual({ a: 'y' });
  } finally {
    await small.close();
  }
});

test('a job that aliases or nesting make too large is a problem, and the others are listed', async () => {
  const aliases = `version: 1
x: &a [${Array(1000).fill('"0123456789"').join(', ')}]
jobs:
  - { job_id: large, params: [${Array(20).fill('*a').join(', ')}] }
  - { job_id: small }
`;
  const { jobs, problems, length } = await parse(aliases);
  expect(jobs.map(({ id }) => id)).toEqual(['small']);
  expect(problems).toEqual([expect.stringMatching(/^jobs\[0\]: larger than 128 KiB/)]);
  expect(length).toBeGreaterThan(200_000);
});

test('nesting that only just parses is refused, since recording the job would overflow the stack', async () => {
  for (const depth of [500, 1000, 2000, 4000]) {
    const text = `version: 1\njobs:\n  - { job_id: a, x: ${'['.repeat(depth)}${']'.repeat(depth)} }\n`;
    const read = await parse(text).catch((error: unknown) => error);
    if (read instanceof AppError) expect(read.message).toMatch(/nested|stack|takes/i);
    else expect(JSON.stringify(read)).toContain('job_id');
  }
});
