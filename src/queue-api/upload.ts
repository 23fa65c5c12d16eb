import type { Request, Response } from 'express';
import multer from 'multer';
import { AppError, fieldError } from '../errors.js';
import type { MulterOptions } from '../http/form.js';
import type { ScriptFile } from '../jobs/request.js';
import { toScriptFile } from '../jobs/script/upload.js';
import { unknownNames } from '../schema-problems.js';
import { configBytes, parseConfigFile, type QueueConfig } from './config-file.js';

/** Larger code belongs in a dataset. */
const codeBytes = 1024 ** 2;

const parts = ['code', 'config_file'] as const;

/** Maximum size of a form: its two files and the multipart headers. */
const formBytes = codeBytes + configBytes + 16 * 1024;

/**
 * Reads a form with the files `code` and `config_file`. Rejects as soon as the form is too large
 * and leaves the rest unread.
 * @throws AppError too_large; MulterError; the signal’s reason
 */
export async function readSubmitForm(
  req: Request,
  res: Response,
  signal?: AbortSignal,
): Promise<void> {
  if (Number(req.get('content-length') ?? 0) > formBytes) throw tooLarge();
  await new Promise<void>((resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason as Error));
    // multer would wait for the rest of an aborted request.
    if (req.aborted) {
      reject(cutOff());
      return;
    }
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
  return fieldError(
    'too_large',
    'code',
    `larger than allowed (${codeBytes / 1024 ** 2} MiB); put data into a dataset`,
  );
}

function cutOff(): AppError {
  return new AppError('bad_request', 'the form is incomplete; send it again');
}

/**
 * Returns the parts of a form.
 * @throws AppError bad_request, too_large; the message names the part
 */
export function submittedParts(req: Request): { code: ScriptFile; config: QueueConfig } {
  const files = (req.files ?? {}) as Record<string, Express.Multer.File[] | undefined>;
  const texts = Object.keys((req.body ?? {}) as object);
  const stranger = texts.find((name) => !(parts as readonly string[]).includes(name));
  if (stranger !== undefined)
    throw new AppError('bad_request', unknownNames([stranger], 'field', parts), {
      details: { fields: [stranger.slice(0, 64)] },
    });
  const fileOf = (name: (typeof parts)[number]) => {
    const file = files[name]?.[0];
    if (file !== undefined) return file;
    const how = texts.includes(name) ? 'is no file' : 'is missing';
    throw fieldError('bad_request', name, `${how}; send it as one (-F "${name}=@…")`);
  };
  const code = fileOf('code');
  const config = fileOf('config_file');
  if (code.size === 0) throw fieldError('bad_request', 'code', 'the file is empty');
  if (config.size > configBytes)
    throw fieldError('too_large', 'config_file', `larger than ${configBytes / 1024} KiB`);
  const script = toScriptFile(code);
  if (script === undefined) throw new Error('an uploaded file was not recognized');
  return { code: script, config: parseConfigFile(config.buffer) };
}
