import { createHash } from 'node:crypto';
import { Readable, type Writable } from 'node:stream';
import type { Request, Response } from 'express';
import multer from 'multer';
import { takeShortcut } from '../../src/datasets/upload/form-shortcut.js';

const BOUNDARY = '------------------------d74496d66958873e';
const DELIMITER = `\r\n--${BOUNDARY}`;

/** What multer makes of a body that comes in these pieces, with and without the shortcut. */
async function read(pieces: Buffer[], shortcut: boolean): Promise<unknown> {
  const body = Readable.from(pieces, { objectMode: false });
  const request = Object.assign(body, {
    headers: {
      'content-type': `multipart/form-data; boundary=${BOUNDARY}`,
      'transfer-encoding': 'chunked',
    },
  }) as unknown as Request;
  const files: string[] = [];
  const options: multer.Options & { streamHandler: (body: Request, busboy: Writable) => void } = {
    storage: {
      _handleFile: (_request, file, done) => {
        const hash = createHash('sha256');
        let size = 0;
        file.stream.on('data', (chunk: Buffer) => {
          hash.update(chunk);
          size += chunk.length;
          // A slow disk: the stream stops now and then.
          if (size % 3 !== 0) return;
          file.stream.pause();
          setImmediate(() => file.stream.resume());
        });
        file.stream.on('end', () => {
          files.push(`${file.originalname} ${size} ${hash.digest('hex')}`);
          done(null, {});
        });
      },
      _removeFile: (_request, _file, done) => done(null),
    },
    streamHandler: (from, busboy) => {
      if (shortcut) takeShortcut(busboy, from.headers['content-type']);
      from.pipe(busboy);
    },
  };
  const error = await new Promise<unknown>((resolve) => {
    multer(options).any()(request, {} as Response, resolve);
  });
  return { files, fields: { ...(request.body as object) }, error: String(error) };
}

function form(content: Buffer): Buffer {
  const part = (headers: string) => `--${BOUNDARY}\r\nContent-Disposition: form-data; ${headers}`;
  return Buffer.concat([
    Buffer.from(`${part('name="before"')}\r\n\r\none\r\n`),
    Buffer.from(`${part('name="file"; filename="a.bin"')}\r\n\r\n`),
    content,
    Buffer.from(`\r\n${part('name="after"')}\r\n\r\ntwo\r\n--${BOUNDARY}--\r\n`),
  ]);
}

function cut(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
    bytes.subarray(i * size, (i + 1) * size),
  );
}

/** Begins of a boundary of every length, whole ones but for the end, lone CRs and LFs, among other bytes. */
function treacherous(): Buffer {
  const begins = Array.from({ length: DELIMITER.length }, (_, i) => DELIMITER.slice(0, i));
  return Buffer.from(begins.map((begin, i) => begin + 'x'.repeat((i * 7) % 90)).join('\r\n\r'));
}

it.each([
  ['content that is all begins of boundaries', treacherous()],
  [
    'content that ends in the begin of one',
    Buffer.from(`${'y'.repeat(5000)}${DELIMITER.slice(0, -1)}`),
  ],
  ['no content', Buffer.alloc(0)],
])('%s is what it is without the shortcut, however it is cut', async (_, content) => {
  const digest = createHash('sha256').update(content).digest('hex');
  for (const size of [1, 2, 13, 41, 42, 43, 44, 45, 100, 150, 151, 1000, 65536]) {
    const pieces = cut(form(content), size);
    const taken = await read(pieces, true);
    expect(taken).toEqual(await read(pieces, false));
    expect(taken).toEqual({
      files: [`a.bin ${content.length} ${digest}`],
      fields: { before: 'one', after: 'two' },
      error: 'undefined',
    });
  }
});

it('a form that is cut off inside the file is told as such', async () => {
  const whole = form(Buffer.alloc(100_000, 'z'));
  for (const length of [50_000, whole.length - 60, whole.length - 4])
    expect(await read(cut(whole.subarray(0, length), 1000), true)).toMatchObject({
      error: expect.stringContaining('Unexpected end of form') as string,
    });
});
