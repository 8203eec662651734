import { FormComponent } from '@jupyterlab/ui-components';
import type { ErrorSchema, ValidatorType } from '@rjsf/utils';
import { useEffect, useState } from 'react';

import type { CaseInfo, FamilyInfo } from '../api/models';
import { usePanel } from '../panel';
import type { Values } from './request';
import { familySchema, familyUi } from './schema';
import { ChoiceWidget, FileField, NumberWidget, TextWidget } from './widgets';

const WIDGETS = {
  gatewayNumber: NumberWidget,
  gatewayChoice: ChoiceWidget,
  gatewayText: TextWidget,
};
const FIELDS = { gatewayFile: FileField };

/** The validator of forms, loaded when the first form is drawn. */
function useValidator(): ValidatorType | null {
  const [validator, setValidator] = useState<ValidatorType | null>(null);
  useEffect(() => {
    let wanted = true;
    void import('@rjsf/validator-ajv8').then(loaded => {
      if (wanted) {
        setValidator(loaded.default);
      }
    });
    return () => {
      wanted = false;
    };
  }, []);
  return validator;
}

interface Props {
  info: CaseInfo;
  values: Values;
  /** What the gateway said of the values, by parameter. */
  problems: Record<string, string[]>;
  onChange: (values: Values) => void;
}

/** The parameters of a case, family by family. */
export function ValuesForm({ info, values, problems, onChange }: Props): React.JSX.Element {
  const { trans } = usePanel();
  const validator = useValidator();
  if (!validator) {
    return <div className="sg-loading">{trans.__('Preparing the form…')}</div>;
  }
  return (
    <>
      {info.families.map(family => (
        <Family
          key={family.label}
          family={family}
          validator={validator}
          values={values}
          problems={problems}
          onChange={part => onChange({ ...values, ...part })}
        />
      ))}
    </>
  );
}

interface FamilyProps {
  family: FamilyInfo;
  validator: ValidatorType;
  values: Values;
  problems: Record<string, string[]>;
  onChange: (part: Values) => void;
}

function Family({ family, validator, values, problems, onChange }: FamilyProps): React.JSX.Element {
  const names = family.parameters.map(parameter => parameter.name);
  const part = Object.fromEntries(names.map(name => [name, values[name]]));
  const wrong = names.some(name => problems[name]);
  const extra: ErrorSchema = {};
  for (const name of names) {
    if (problems[name]) {
      extra[name] = { __errors: problems[name] } as ErrorSchema;
    }
  }
  return (
    <details className="sg-family" open={!family.collapse || wrong || undefined}>
      <summary>{family.label}</summary>
      <FormComponent
        schema={familySchema(family, values)}
        uiSchema={familyUi(family) as never}
        formData={part as never}
        validator={validator}
        widgets={WIDGETS}
        fields={FIELDS}
        extraErrors={extra}
        showErrorList={false}
        tagName="div"
        idPrefix={`sg-${family.label.replace(/\W+/g, '-')}`}
        onChange={event => {
          const changed: Values = event.formData ?? {};
          onChange(Object.fromEntries(names.map(name => [name, changed[name]])));
        }}
      />
    </details>
  );
}
