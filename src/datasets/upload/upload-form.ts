import type { Request, Response } from 'express';
import multer, { type StorageEngine } from 'multer';
import { z } from 'zod';
import { AppError, fieldError } from '../../errors.js';
import { readBody } from '../../http/read-input.js';
import { sha256Schema, type Sha256 } from '../digest.js';
import type { StagedUpload } from '../make-dataset.js';
import type { DatasetService } from '../service.js';

export interface UploadForm {
  staged: StagedUpload;
  sha256: Sha256 | undefined;
  name: string | undefined;
}

const fieldsSchema = z.strictObject({
  file: z.undefined('expected a file, not text: -F file=@data.tar.gz').optional(),
  sha256: sha256Schema.optional(),
  name: z.string().max(1000, 'expected at most 1000 characters').optional(),
});

/** Bytes of headers and other fields that a form may have beside its file. */
const maxAroundFile = 64 * 1024;

/**
 * Reads a multipart form of one `file`, `sha256?` and `name?`, in any order, and stages the file
 * while
 * it arrives. Rejects at the first problem, with the rest of the body unread.
 * @throws AppError bad_request naming the field; as `DatasetService.stage` does
 */
export async function readUploadForm(
  service: DatasetService,
  owner: string,
  req: Request,
  res: Response,
): Promise<UploadForm> {
  if (!req.is('multipart/form-data'))
    throw new AppError(
      'bad_request',
      'send multipart/form-data with the file in the field "file" (curl -F file=@data.tar.gz), or PUT the bytes to /datasets/<sha256>',
    );
  const length = req.get('content-length');
  if (length !== undefined)
    await service.refuseLength(owner, Math.max(0, Number(length) - maxAroundFile));

  // The event of a caller that left meanwhile does not come again, and multer would wait forever.
  if (req.aborted) throw cutOff();
  const gone = new AbortController();
  const onClose = () => gone.abort(cutOff());
  req.on('aborted', onClose);
  let staging: Promise<StagedUpload> | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const options: multer.Options = {
        storage: stagingEngine((file) => {
          staging = service.stage(file.stream, { owner, signal: gone.signal });
          // multer would report this only after the whole body; the caller should know now.
          staging.catch(reject);
          return staging;
        }),
        fileFilter: (_req, file, accept) => {
          const problem = problemWith(file.fieldname, staging !== undefined);
          if (problem) reject(problem);
          accept(null, problem === undefined);
        },
        limits: {
          fields: 10,
          parts: 20,
          fieldSize: 8192,
          fieldNameSize: 100,
          fieldNestingDepth: 0,
        },
        defParamCharset: 'utf8',
      };
      const parse = multer(options).any();
      parse(req, res, (error?: unknown) => (error instanceof Error ? reject(error) : resolve()));
    });
    const { sha256, name } = readBody(fieldsSchema, req);
    if (staging === undefined)
      throw fieldError('bad_request', 'file', 'missing; send it with -F file=@data.tar.gz');
    const staged = await staging;
    const [file] = req.files as Express.Multer.File[];
    return { staged, sha256, name: name ?? file?.originalname };
  } catch (error) {
    gone.abort(error);
    await staging?.then(
      (staged) => service.discard(staged),
      () => undefined,
    );
    throw req.aborted ? cutOff() : error;
  } finally {
    req.off('aborted', onClose);
  }
}

function stagingEngine(stage: (file: Express.Multer.File) => Promise<unknown>): StorageEngine {
  return {
    _handleFile: (_req, file, callback) => {
      stage(file).then(() => callback(null, {}), callback);
    },
    // The upload is discarded by its stager.
    _removeFile: (_req, _file, callback) => callback(null),
  };
}

function problemWith(field: string, hasFile: boolean): AppError | undefined {
  if (field !== 'file')
    return fieldError('bad_request', field, 'no such file field; send the file as "file"');
  if (hasFile)
    return fieldError('bad_request', 'file', 'sent twice; upload one file in each request');
  return undefined;
}

export function cutOff(): AppError {
  return new AppError('bad_request', 'the upload was cut off before its end; send it again');
}
