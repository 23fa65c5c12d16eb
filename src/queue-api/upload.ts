import type { Request, RequestHandler } from 'express';
import multer from 'multer';
import { AppError } from '../errors.js';
import type { ScriptFile } from '../jobs/request.js';
import { toScriptFile } from '../jobs/script-upload.js';
import { configBytes, parseConfigFile, type QueueConfig } from './config-file.js';

/** Larger code belongs into a dataset. */
const codeBytes = 1024 ** 2;

const parts = ['code', 'config_file'] as const;

/** Reads a form with the files `code` and `config_file`. */
export function readSubmitForm(): RequestHandler {
  return multer({
    storage: multer.memoryStorage(),
    preservePath: true,
    limits: {
      files: 2,
      fileSize: codeBytes,
      fieldSize: codeBytes,
      fields: 10,
      fieldNameSize: 100,
    },
  }).fields(parts.map((name) => ({ name, maxCount: 1 })));
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
