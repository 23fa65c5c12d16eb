import multer from 'multer';
import { formReader } from '../../http/form.js';
import type { RequestHandler } from 'express';
import { fieldError } from '../../errors.js';
import type { ScriptFile } from '../request.js';

/** Size limit of a script; larger code belongs in a dataset. */
const scriptBytes = 1024 ** 2;
const fieldBytes = 1024 ** 2;

/** Reads a form with at most one file, `script`. */
export function readJobForm(): RequestHandler {
  return formReader({
    storage: multer.memoryStorage(),
    // Otherwise a name of only dots becomes empty, and multer silently drops a file without a name.
    preservePath: true,
    limits: {
      // One more than the form has, so that the error names the field of the second one.
      files: 2,
      fileSize: scriptBytes,
      fieldSize: fieldBytes,
      fields: 50,
      fieldNameSize: 100,
    },
  }).single('script');
}

/** Takes the uploaded file as a script. @throws AppError bad_request when it is empty. */
export function toScriptFile(file: Express.Multer.File | undefined): ScriptFile | undefined {
  if (file === undefined) return undefined;
  if (file.size === 0) throw fieldError('bad_request', 'script', 'the file is empty');
  // The name is only shown, and tells programs the file's extension.
  const name = file.originalname.replace(/^.*[/\\]/, '').replace(/[^A-Za-z0-9._-]/g, '_');
  return { name: /^\.*$/.test(name) ? 'script' : name.slice(-100), content: file.buffer };
}
