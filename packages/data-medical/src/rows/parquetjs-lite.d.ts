/** The part of parquetjs-lite, which has no types of its own, that parquet-blocks.ts uses. */
declare module "parquetjs-lite" {
  declare namespace parquetjs {
    interface FieldDefinition {
      readonly type?: "UTF8" | "BOOLEAN" | "INT64" | "DOUBLE" | "LIST";
      readonly optional?: boolean;
      readonly repeated?: boolean;
      readonly statistics?: boolean;
      readonly compression?: "SNAPPY";
      readonly fields?: Readonly<Record<string, FieldDefinition>>;
    }
    interface WriterOptions {
      readonly rowGroupSize: number;
      readonly useDataPageV2: boolean;
    }
    class ParquetSchema {
      constructor(fields: Readonly<Record<string, FieldDefinition>>);
      readonly fieldList: readonly unknown[];
    }
    class ParquetEnvelopeWriter {
      constructor(
        schema: ParquetSchema,
        write: (block: Uint8Array) => void,
        close: () => void,
        offset: number,
        options: WriterOptions,
      );
      readonly rowCount: number;
    }
    class ParquetWriter {
      constructor(schema: ParquetSchema, envelope: ParquetEnvelopeWriter, options: WriterOptions);
      appendRow(row: Readonly<Record<string, unknown>>): Promise<void>;
      close(): Promise<void>;
    }
  }
  export default parquetjs;
}
