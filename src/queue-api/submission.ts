import type { Request, Response } from 'express';
import { tokenInBody } from '../auth/audit.js';
import { bearerOf, networkOf, type Authenticator } from '../auth/authenticator.js';
import { setCaller } from '../auth/caller.js';
import { AppError } from '../errors.js';
import { AnonymousUploads } from './anonymous-uploads.js';
import { readSubmitForm, submittedParts } from './upload.js';

/** Reads the forms of `/api/submit`, whose token is in the header or in the form itself. */
export class Submissions {
  readonly #authenticator: Authenticator;

  readonly #anonymous = new AnonymousUploads();

  constructor(authenticator: Authenticator) {
    this.#authenticator = authenticator;
  }

  /**
   * Reads a form and finds its caller.
   * @throws AppError unauthorized, too_many_attempts; as `readSubmitForm` and `submittedParts` do
   */
  async read(req: Request, res: Response) {
    const bearer = bearerOf(req);
    if (bearer === undefined)
      return this.#anonymous.hold(networkOf(req.ip ?? ''), (signal) =>
        this.#readForm(req, res, signal),
      );
    // Check the header before reading the form. If the form has a token of its own, that one
    // decides the job’s owner.
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
        'token: invalid or missing; send it in config_file or as "Authorization: Bearer <token>"',
      );
    }
  }
}
