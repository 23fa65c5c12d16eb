import type { Request, Response } from 'express';
import { tokenInBody } from '../auth/audit.js';
import { bearerOf, networkOf, type Authenticator } from '../auth/authenticator.js';
import { setCaller } from '../auth/caller.js';
import { AppError } from '../errors.js';
import { AnonymousUploads } from './anonymous-uploads.js';
import { readSubmitForm, submittedParts } from './upload.js';

/** Reads the forms of `/api/submit`, whose token stands in the header or in the form itself. */
export class Submissions {
  readonly #authenticator: Authenticator;

  readonly #anonymous = new AnonymousUploads();

  constructor(authenticator: Authenticator) {
    this.#authenticator = authenticator;
  }

  /** @throws AppError unauthorized, too_many_attempts; as `readSubmitForm` and `submittedParts` do */
  async read(req: Request, res: Response) {
    const bearer = bearerOf(req);
    if (bearer === undefined)
      return this.#anonymous.hold(networkOf(req.ip ?? ''), (signal) =>
        this.#readForm(req, res, signal),
      );
    // Before the form is read. Whose the job is, the form's own token says, if it has one.
    await this.#callerOf(req, bearer);
    return this.#readForm(req, res);
  }

  async #readForm(req: Request, res: Response, signal?: AbortSignal) {
    await readSubmitForm(req, res, signal);
    const submission = submittedParts(req);
    tokenInBody(res);
    const caller = await this.#callerOf(req, submission.config.token ?? bearerOf(req));
    setCaller(res, caller);
    return { ...submission, caller };
  }

  async #callerOf(req: Request, token: string | undefined) {
    try {
      return await this.#authenticator.check(token, req.ip ?? '');
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'unauthorized') throw error;
      throw new AppError(
        'unauthorized',
        'token: expected a valid one, in config_file or as "Authorization: Bearer <token>"',
      );
    }
  }
}
