export { type EventProof, type ProofCheck, proveEvent } from './prove-event.ts'
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
