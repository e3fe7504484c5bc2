import { demandOf, numberOf } from './demand.ts';
import type { NodeView, Placement } from './types.ts';

/** @returns why this node can never run the job as both are described now, one sentence each; empty when it can. */
export function lastingReasons(placement: Placement, node: NodeView): string[] {
  return [
    ...roleReasons(node),
    ...typeReasons(placement, node),
    ...nodeReasons(placement, node),
    ...requireReasons(placement, node),
    ...avoidReasons(placement, node),
    ...secretReasons(placement, node),
  ];
}

/** @returns why this node cannot start the job at this moment, although it may later; empty when it can. */
export function passingReasons(node: NodeView): string[] {
  const reasons: string[] = [];
  if (node.isAbsent === true) reasons.push(absence(node));
  else if (node.isSuspect) reasons.push(silence(node));
  if (node.isDraining === true) reasons.push('is draining and takes no new jobs');
  if (node.totalSlots > 0 && node.freeSlots <= 0) {
    reasons.push(`is full: ${node.totalSlots - node.freeSlots} of ${node.totalSlots} slots in use`);
    reasons.push(...unansweredReasons(node));
  }
  return reasons;
}

function roleReasons(node: NodeView): string[] {
  const { role, totalSlots } = node;
  if (role !== 'voter' && role !== 'worker') return [`has the role ${role}, which runs no jobs`];
  if (totalSlots > 0) return [];
  return node.unanswered === undefined ? ['offers no slots'] : unansweredReasons(node);
}

function unansweredReasons({ totalSlots, unanswered }: NodeView): string[] {
  if (unanswered === undefined) return [];
  const { count, jobId, attempt } = unanswered;
  const slots = `${count} of ${totalSlots + count} slots ${count === 1 ? 'is' : 'are'} held`;
  const others = count === 1 ? '' : ` and ${count - 1} more`;
  return [
    `${slots} by attempt ${attempt} of ${jobId}${others}, given up and not answered: free when it answers, or its connection closes`,
  ];
}

function typeReasons({ type }: Placement, { types }: NodeView): string[] {
  if (types.includes(type)) return [];
  const offered = types.length === 0 ? 'it runs none' : `it runs ${types.join(', ')}`;
  return [`runs no jobs of type ${type}; ${offered}`];
}

function nodeReasons({ node }: Placement, { peerId }: NodeView): string[] {
  return node?.mode === 'require' && node.peerId !== peerId
    ? [`is not the required node ${node.peerId}`]
    : [];
}

function requireReasons({ require = {} }: Placement, { labels }: NodeView): string[] {
  return Object.entries(require).flatMap(([label, text]) => {
    const value = labelOf(labels, label);
    const demand = demandOf(text);
    if (demand.isMetBy(value)) return [];
    if (value === undefined) return [`has no label ${label}, needs ${text}`];
    const isNoNumber = demand.isNumeric && numberOf(value) === undefined;
    return [`label ${label} is ${value}${isNoNumber ? ', which is no number' : ''}, needs ${text}`];
  });
}

function secretReasons({ secrets }: Placement, node: NodeView): string[] {
  const lacking = secrets?.filter((name) => node.secrets?.has(name) !== true) ?? [];
  return lacking.map((name) => `may not read secret ${name}`);
}

function avoidReasons({ avoid = {} }: Placement, { peerId, labels }: NodeView): string[] {
  return Object.entries(avoid).flatMap(([label, text]) => {
    if (label === 'node') return text === peerId ? ['is the node to be avoided'] : [];
    const value = labelOf(labels, label);
    if (!demandOf(text).isMetBy(value)) return [];
    return value === undefined
      ? [`has no label ${label}; ${text} is to be avoided`]
      : [`label ${label} is ${value}, which is to be avoided`];
  });
}

/** Labels come from people: `constructor` is a label like any other, and absent unless it was set. */
export function labelOf(labels: Readonly<Record<string, string>>, label: string): string | undefined {
  return Object.hasOwn(labels, label) ? labels[label] : undefined;
}

function absence({ silentForMs }: NodeView): string {
  return silentForMs === undefined
    ? 'is a member, but unreachable: not heard since the leader began'
    : `is unreachable since ${Math.round(silentForMs / 1_000)} s`;
}

function silence({ silentForMs }: NodeView): string {
  return silentForMs === undefined
    ? 'is suspect: it missed its renewals'
    : `is suspect: silent since ${Math.round(silentForMs / 1_000)} s`;
}
