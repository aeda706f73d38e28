export type {
  VerifiedProjection,
  VerifiedSnapshots,
  VerifyOptions,
  VerifyProblem,
  VerifyProblemKind,
  VerifyReport,
  VerifyStep,
} from './report.ts'
export { verifyStore } from './verify.ts'
