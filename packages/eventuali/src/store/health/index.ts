export { checkHealth } from './check-health.ts'
export { type ConsumerKind, type ConsumerLag, consumerLag } from './consumer-lag.ts'
export type {
  HealthCheck,
  HealthCheckName,
  HealthOptions,
  HealthReport,
  HealthStatus,
  HealthThresholds,
} from './report.ts'
