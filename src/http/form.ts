import type { Writable } from 'node:stream';
import type { Request, RequestHandler } from 'express';
import multer, { MulterError } from 'multer';
import { AppError, fieldError } from '../errors.js';
import { unknownNames } from '../schema-problems.js';

/** Options of multer 2.5, with one that its types lack. */
export type MulterOptions = multer.Options & {
  streamHandler?: (body: Request, busboy: Writable) => void;
};

interface PartInfo {
  mimeType: string;
  encoding: string;
}

const remedy = (name: string) =>
  `curl -F cuts a value at ";" and reads "@" and "<" as files: send it with --form-string ${name}=…`;

/** Makes a reader of forms; see {@link refuseCutText} and {@link refuseFile}. */
export function formReader(options: MulterOptions): multer.Multer {
  return multer({ ...options, streamHandler: refuseCutText } as MulterOptions);
}

/**
 * Refuses a text that came with an encoding or a content type of its own: curl has taken these out
 * of the value, behind a `;`. Other options of curl's leave no trace.
 */
function refuseCutText(body: Request, busboy: Writable): void {
  busboy.on('field', (name: string, _value: string, { mimeType, encoding }: PartInfo) => {
    const isText = /^(text\/.*|application\/(json|octet-stream))$/.test(mimeType);
    if (isText && /^(7bit|8bit|binary)$/i.test(encoding)) return;
    const problem = 'expected a plain text, which has no content type and no encoding';
    busboy.destroy(fieldError('bad_request', name, `${problem}; ${remedy(name)}`));
  });
  body.pipe(busboy);
}

/**
 * Has a form's reader name the remedy for a file where the form takes none.
 * @param texts names of fields that are no files
 */
export function refuseFile(
  read: RequestHandler,
  files: readonly string[],
  texts: readonly string[],
): RequestHandler {
  return (req, res, next) =>
    read(req, res, (error?: unknown) => {
      if (!(error instanceof MulterError) || error.code !== 'LIMIT_UNEXPECTED_FILE') {
        next(error);
        return;
      }
      const name = error.field ?? 'file';
      next(
        files.includes(name)
          ? fieldError('bad_request', name, 'sent twice; send one file')
          : texts.includes(name)
            ? fieldError('bad_request', name, `came as a file, but is a text; ${remedy(name)}`)
            : new AppError('bad_request', unknownNames([name], 'file field', files), {
                details: { fields: [name] },
              }),
      );
    });
}
