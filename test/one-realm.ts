import { types } from 'node:util';
import type { EnvironmentContext, JestEnvironmentConfig } from '@jest/environment';
import { TestEnvironment } from 'jest-environment-node';

/**
 * Jest gives tests an `Error` of their own, to which the errors of Node's modules do not belong:
 * code that asks `instanceof Error`, the SDK's among it, takes a refused connection for something
 * else. Here it is one, as in the service.
 */
export default class OneRealm extends TestEnvironment {
  constructor(config: JestEnvironmentConfig, context: EnvironmentContext) {
    super(config, context);
    const own = this.global.Error;
    const ordinary = Function.prototype[Symbol.hasInstance];
    Object.defineProperty(own, Symbol.hasInstance, {
      value(this: unknown, error: unknown) {
        return (
          ordinary.call(this as () => void, error) || (this === own && types.isNativeError(error))
        );
      },
    });
  }
}
