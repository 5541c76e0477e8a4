import { defineConfig } from "vitest/config";

const shuffled = { sequence: { shuffle: true } };

export default defineConfig({
  test: {
    coverage: {
      provider: "v8",
      include: ["src/verify/**", "src/decide/**", "src/mail/certificate.ts"],
      thresholds: {
        "src/verify/**": { branches: 100 },
        "src/decide/**": { branches: 100 },
        "src/mail/certificate.ts": { branches: 100 },
      },
    },
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/unit/**/*.test.ts", "test/architecture.test.ts"],
          isolate: false, // nothing here keeps state in a module, so files may share one: three times as fast
          ...shuffled,
        },
      },
      {
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts", "test/contract/**/*.test.ts"],
          testTimeout: 30_000,
          hookTimeout: 30_000,
          ...shuffled,
        },
      },
      {
        test: {
          name: "interop",
          include: ["test/interop/**/*.test.ts"],
          globalSetup: ["test/interop/require-peers.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          ...shuffled,
        },
      },
    ],
  },
});
