import type { Writable } from 'node:stream';
import type { Request, Response } from 'express';
import multer from 'multer';
import { AppError } from '../errors.js';
import type { ScriptFile } from '../jobs/request.js';
import { toScriptFile } from '../jobs/script/upload.js';
import { configBytes, parseConfigFile, type QueueConfig } from './config-file.js';

/** Larger code belongs into a dataset. */
const codeBytes = 1024 ** 2;

const parts = ['code', 'config_file'] as const;

/** All of a form: its two files, and what stands around them. */
const formBytes = codeBytes + configBytes + 16 * 1024;

/** multer 2.5's own option, which its types lack. */
type MulterOptions = multer.Options & {
  streamHandler: (body: Request, busboy: Writable) => void;
};

/**
 * Reads a form with the files `code` and `config_file`. Rejects as soon as there is too much of it, with the rest unread.
 * @throws AppError too_large; MulterError; the signal's reason.
 */
export async function readSubmitForm(
  req: Request,
  res: Response,
  signal?: AbortSignal,
): Promise<void> {
  if (Number(req.get('content-length') ?? 0) > formBytes) throw tooLarge();
  await new Promise<void>((resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason as Error));
    // multer would wait for the rest of what was cut off.
    req.once('aborted', () => reject(cutOff()));
    const options: MulterOptions = {
      storage: multer.memoryStorage(),
      preservePath: true,
      limits: {
        files: 2,
        fileSize: codeBytes,
        fieldSize: configBytes,
        fields: 4,
        fieldNameSize: 100,
      },
      streamHandler: (body, busboy) => {
        let left = formBytes;
        body.on('data', (chunk: Buffer) => {
          left -= chunk.length;
          if (left >= 0) return;
          body.unpipe(busboy);
          reject(tooLarge());
        });
        body.pipe(busboy);
      },
    };
    const parse = multer(options).fields(parts.map((name) => ({ name, maxCount: 1 })));
    parse(req, res, (error?: unknown) => (error instanceof Error ? reject(error) : resolve()));
  });
}

function tooLarge(): AppError {
  return new AppError(
    'too_large',
    `code: larger than allowed (${codeBytes / 1024 ** 2} MiB); put data into a dataset`,
  );
}

function cutOff(): AppError {
  return new AppError('bad_request', 'the form was cut off before its end; send it again');
}

/** @throws AppError bad_request, too_large; the message names the part. */
export function submittedParts(req: Request): { code: ScriptFile; config: QueueConfig } {
  const files = (req.files ?? {}) as Record<string, Express.Multer.File[] | undefined>;
  const texts = Object.keys((req.body ?? {}) as object);
  const stranger = texts.find((name) => !(parts as readonly string[]).includes(name));
  if (stranger !== undefined)
    throw new AppError('bad_request', `${stranger.slice(0, 64)}: no such field`);
  const fileOf = (name: (typeof parts)[number]) => {
    const file = files[name]?.[0];
    if (file !== undefined) return file;
    const how = texts.includes(name) ? 'is no file' : 'is missing';
    throw new AppError('bad_request', `${name}: ${how}; send it as one (-F "${name}=@…")`);
  };
  const code = fileOf('code');
  const config = fileOf('config_file');
  if (code.size === 0) throw new AppError('bad_request', 'code: the file is empty');
  if (config.size > configBytes)
    throw new AppError('too_large', `config_file: larger than ${configBytes / 1024} KiB`);
  const script = toScriptFile(code);
  if (script === undefined) throw new Error('a file that is there was taken for none');
  return { code: script, config: parseConfigFile(config.buffer) };
}
