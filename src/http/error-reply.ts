import type { ErrorRequestHandler, Response } from 'express';
import { MulterError } from 'multer';
import { AppError, errnoOf, fieldError, isDiskFull } from '../errors.js';
import { isDeclared } from './contract.js';
import type { ErrorBody } from './error-body.js';
import { hasUnreadBody, replyBeforeBodyEnds } from './early-reply.js';
import { statusOf } from './error-status.js';

/** Translates errors that Express, body-parser and multer throw about the request itself. */
function fromLibrary(error: unknown): AppError | undefined {
  if (error instanceof MulterError) {
    if (error.code === 'LIMIT_FILE_SIZE' || error.code === 'LIMIT_FIELD_VALUE')
      return error.field === undefined
        ? new AppError('too_large', 'the body is larger than allowed')
        : fieldError('too_large', error.field, 'larger than allowed');
    if (error.code === 'LIMIT_UNEXPECTED_FILE')
      return fieldError(
        'bad_request',
        error.field ?? 'file',
        'unknown file field, or too many files',
      );
    return new AppError('bad_request', `the form cannot be read: ${error.message}`);
  }
  if (isDiskFull(error) || errnoOf(error) === 'SQLITE_FULL')
    return new AppError(
      'disk_full',
      'the disk is full: delete datasets or results, then try again',
      {
        cause: error,
      },
    );
  if (!(error instanceof Error) || !('status' in error) || typeof error.status !== 'number')
    return /Multipart|Unexpected end of form|Malformed/.test(String(error))
      ? new AppError('bad_request', 'the form cannot be read: it is cut off or malformed multipart')
      : undefined;
  if (error.status === 413) return new AppError('too_large', 'the body is larger than allowed');
  if (error.status >= 400 && error.status < 500)
    return fieldError('bad_request', 'body', `cannot be read: ${error.message}`);
  return undefined;
}

/** Repeats an error's message as `detail`, where callers of FastAPI look for it. */
export function withDetail(res: Response): void {
  res.locals['withDetail'] = true;
}

export function errorReply(): ErrorRequestHandler {
  return (error: unknown, req, res, next) => {
    const reason = error instanceof AppError ? error : fromLibrary(error);
    const known = reason && isDeclared(res, reason.code) ? reason : undefined;
    if (known === undefined) req.log.error({ err: error }, 'request failed');
    else if (known.cause !== undefined) req.log.warn({ err: known.cause }, known.message);
    if (res.headersSent) {
      // Part of the reply has been sent. Break it off, so that nobody takes it for the whole.
      res.destroy();
      return;
    }
    if (req.aborted) {
      next();
      return;
    }
    if (known?.code === 'unauthorized') res.set('WWW-Authenticate', 'Bearer');
    const retryAfter = known?.details?.['retry_after_s'];
    if (typeof retryAfter === 'number') res.set('Retry-After', String(retryAfter));
    res.status(known ? statusOf[known.code] : 500);
    const body: ErrorBody = {
      error: {
        code: known?.code ?? 'internal',
        message: known?.message ?? 'something failed on our side; the service log has the reason',
        ...(known?.details && { details: known.details }),
      },
    };
    const full = res.locals['withDetail'] === true ? { ...body, detail: body.error.message } : body;
    if (hasUnreadBody(req)) replyBeforeBodyEnds(req, res, JSON.stringify(full));
    else res.json(full);
  };
}
