/** Runs tests as ESM TypeScript; `.js` endings of imports map to the `.ts` sources. */
export default {
  globalSetup: '<rootDir>/test/run-folder.js',
  testEnvironment: '<rootDir>/test/one-realm.ts',
  testSequencer: '<rootDir>/test/longest-first.js',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  // Machines may be busy, so only a hang reaches this: each wait inside a test fails earlier, and
  // says why.
  testTimeout: 240_000,
};
