import type { RJSFSchema, UiSchema } from '@rjsf/utils';

import type { FamilyInfo, FieldProblem, ParameterInfo } from '../api/models';
import { applies, type Values } from './request';

/** The schema of one family's values that count now, made from what the case says of its parameters. */
export function familySchema(family: FamilyInfo, values: Values): RJSFSchema {
  const shown = family.parameters.filter(parameter => applies(parameter, values));
  return {
    type: 'object',
    properties: Object.fromEntries(shown.map(item => [item.name, propertyOf(item)])),
    required: shown.filter(item => item.required).map(item => item.name),
  };
}

function propertyOf(parameter: ParameterInfo): RJSFSchema {
  const found: RJSFSchema = {
    title: parameter.unit ? `${parameter.label} [${parameter.unit}]` : parameter.label,
  };
  if (parameter.help) {
    found.description = parameter.help;
  }
  switch (parameter.type) {
    case 'float':
      return { ...found, type: 'number', ...bounds(parameter) };
    case 'int':
      return { ...found, type: 'integer', ...bounds(parameter) };
    case 'bool':
      return { ...found, type: 'boolean' };
    case 'choice':
      return {
        ...found,
        enum: parameter.choices.map(choice => choice.value as string),
        // Where JupyterLab's form component looks for the words.
        enumNames: parameter.choices.map(choice => choice.label),
      };
    case 'text':
      return {
        ...found,
        type: 'string',
        ...(parameter.max_length === null ? {} : { maxLength: parameter.max_length }),
      };
    case 'file':
      // The value is an object; the widget shows it as one choice of a file.
      return { ...found, type: 'object' };
  }
}

function bounds(parameter: ParameterInfo): RJSFSchema {
  return {
    ...(parameter.min === null ? {} : { minimum: parameter.min }),
    ...(parameter.max === null ? {} : { maximum: parameter.max }),
  };
}

/** How the fields are drawn. Names of widgets and fields are those that `values_form.tsx` gives. */
export function familyUi(family: FamilyInfo): UiSchema {
  const found: UiSchema = {};
  for (const parameter of family.parameters) {
    if (parameter.type === 'file') {
      found[parameter.name] = { 'ui:field': 'gatewayFile' };
    } else if (parameter.type === 'float' || parameter.type === 'int') {
      found[parameter.name] = {
        'ui:widget': 'gatewayNumber',
        'ui:options': { step: parameter.step ?? (parameter.type === 'int' ? 1 : null) },
      };
    } else if (parameter.type === 'choice') {
      found[parameter.name] = { 'ui:widget': 'gatewayChoice' };
    } else if (parameter.type === 'text') {
      const options = { multiline: parameter.multiline };
      found[parameter.name] = { 'ui:widget': 'gatewayText', 'ui:options': options };
    }
  }
  return found;
}

/** The gateway's complaints about values, by parameter; what belongs to none stands under the empty name. */
export function problemsByParameter(errors: readonly FieldProblem[]): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const { pointer, detail } of errors) {
    const match = /^#\/values\/([^/]+)/.exec(pointer);
    const name = match?.[1]?.replaceAll('~1', '/').replaceAll('~0', '~') ?? '';
    const text = name === '' ? `${pointer}: ${detail}` : detail;
    found[name] = [...(found[name] ?? []), text];
  }
  return found;
}

/**
 * Whether a slider helps: both ends are known. Over several powers of ten it moves by powers, so that small values can
 * be reached too.
 */
export function sliderScale(
  min: number | undefined,
  max: number | undefined,
): 'linear' | 'log' | null {
  if (min === undefined || max === undefined || max <= min) {
    return null;
  }
  return min > 0 && max / min >= 1000 ? 'log' : 'linear';
}

export const SLIDER_STEPS = 1000;

/** Where a value stands on the slider, 0 to `SLIDER_STEPS`. */
export function toSlider(value: number, min: number, max: number, scale: 'linear' | 'log'): number {
  const share =
    scale === 'log'
      ? Math.log(Math.max(value, min) / min) / Math.log(max / min)
      : (value - min) / (max - min);
  return Math.round(SLIDER_STEPS * Math.min(1, Math.max(0, share)));
}

/** The value of a place on the slider: three digits, or a multiple of `step`, never outside. */
export function fromSlider(
  place: number,
  min: number,
  max: number,
  scale: 'linear' | 'log',
  step: number | null,
): number {
  const share = place / SLIDER_STEPS;
  const raw = scale === 'log' ? min * (max / min) ** share : min + share * (max - min);
  const coarse = Number(raw.toPrecision(3));
  const fitted =
    step === null || step <= 0
      ? coarse
      : Number((Math.round(coarse / step) * step).toPrecision(12));
  return Math.min(max, Math.max(min, fitted));
}

/** A description, which is Markdown, as plain text: paragraphs without marks and without addresses. */
export function plainParagraphs(markdown: string): string[] {
  return markdown
    .trim()
    .split(/\n\s*\n/)
    .map(paragraph =>
      paragraph
        .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
        .replace(/[`*_]{1,3}([^`*_]+)[`*_]{1,3}/g, '$1')
        .replace(/\s+/g, ' ')
        .trim(),
    )
    .filter(paragraph => paragraph !== '');
}
