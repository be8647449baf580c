import { InputError } from "@medgpt/artifacts";
import { describe, expect, it } from "vitest";
import { datasetSplits, readableFiles } from "./dataset-files.js";

const card = (yaml: string): string => `---\nlicense: mit\n${yaml}\n---\n# Texts\n`;
const splits = (paths: string[], text = "", config: string | null = null): Record<string, readonly string[]> =>
  Object.fromEntries(datasetSplits(paths, text, config));

/** Each checked against datasets 5.2's get_data_patterns and DataFilesDict on a folder of these files. */
describe("splits by name", () => {
  it.each([
    [
      "no split's name: all is train",
      ["b.txt", "a.txt", "README.md", ".hidden.txt", "dataset_info.json"],
      { train: ["a.txt", "b.txt"] },
    ],
    [
      "files",
      ["train.txt", "dev.txt", "test.txt", "other.txt"],
      { train: ["train.txt"], validation: ["dev.txt"], test: ["test.txt"] },
    ],
    [
      "words in files",
      ["my_train_1.txt", "my-valid.txt", "retrain.txt", "trainer.txt"],
      { train: ["my_train_1.txt"], validation: ["my-valid.txt"] },
    ],
    [
      "folders before files",
      ["train/a.txt", "train/b/c.txt", "x/validation/d.txt", "test.txt"],
      { train: ["train/a.txt", "train/b/c.txt"], validation: ["x/validation/d.txt"] },
    ],
    [
      "shards before folders",
      [
        "data/train-00000-of-00002.parquet",
        "data/train-00001-of-00002-ab12.parquet",
        "data/val-00000-of-00001.parquet",
        "test/a.txt",
      ],
      {
        train: ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002-ab12.parquet"],
        val: ["data/val-00000-of-00001.parquet"],
      },
    ],
    ["evaluation is test", ["train.jsonl", "eval.jsonl"], { train: ["train.jsonl"], test: ["eval.jsonl"] }],
    ["lower case only", ["Train.txt", "TEST.txt"], { train: ["TEST.txt", "Train.txt"] }],
    [
      "words in folders, each file once",
      ["training set/a.txt", "é/dev 2/b.txt", "train-train.txt", "my.train/train.txt"],
      { train: ["my.train/train.txt", "training set/a.txt"], validation: ["é/dev 2/b.txt"] },
    ],
    ["nothing", ["README.md", ".gitattributes"], { train: [] }],
  ])("%s", (_, paths, expected) => {
    expect(splits(paths)).toEqual(expected);
  });
});

describe("splits by the card", () => {
  const paths = ["a/one.jsonl", "a/two.jsonl", "b/one.txt", "b/.hidden.txt", "c/train.txt", "c/dev.txt", "top.txt"];

  it.each([
    ["a pattern", 'data_files: "a/*.jsonl"', { train: ["a/one.jsonl", "a/two.jsonl"] }],
    ["patterns in their order", "data_files: [top.txt, ./a/one.jsonl]", { train: ["top.txt", "a/one.jsonl"] }],
    [
      "splits",
      'data_files: [{ split: train, path: "b/**" }, { split: validation, path: [top.txt, "a/t*"] }]',
      { train: ["b/one.txt"], validation: ["top.txt", "a/two.jsonl"] },
    ],
    ["a folder", "data_dir: c", { train: ["c/train.txt"], validation: ["c/dev.txt"] }],
    ["files of a folder", "data_dir: ./b/\n    data_files: '*.txt'", { train: ["b/one.txt"] }],
    ["a class", 'data_files: "[ab]/one.*"', { train: ["a/one.jsonl", "b/one.txt"] }],
    ["any depth", 'data_files: "**/t*"', { train: ["a/two.jsonl", "c/train.txt", "top.txt"] }],
  ])("%s", (_, yaml, expected) => {
    expect(splits(paths, card(`configs:\n  - config_name: only\n    ${yaml}`))).toEqual(expected);
  });

  const several = (more = ""): string =>
    card(
      `configs:\n  - config_name: en\n    data_files: a/one.jsonl\n  - config_name: zh\n    data_files: b/one.txt${more}`,
    );

  it("takes the configuration asked for, else the default one", () => {
    expect(splits(paths, several(), "en")).toEqual({ train: ["a/one.jsonl"] });
    expect(splits(paths, several("\n    default: true"))).toEqual({ train: ["b/one.txt"] });
    expect(splits(paths, several("\n  - config_name: default\n    data_files: top.txt"))).toEqual({
      train: ["top.txt"],
    });
    expect(splits(["a.txt"], "", "default")).toEqual({ train: ["a.txt"] });
    expect(splits(["a.txt"], card("configs:"), null)).toEqual({ train: ["a.txt"] });
  });

  it.each([
    [several(), null, "--dataset_config_name: the data set has several configurations; give one of en, zh"],
    [several(), "fr", '--dataset_config_name: the data set has no configuration "fr"; it has en, zh'],
    ["", "fr", '--dataset_config_name: the data set has no configuration "fr"; it has only default'],
    [card("configs: 7"), null, "README.md: the front matter does not say which files to read: configs is 7"],
    [card("configs:\n  - data_files: a"), null, /a configuration is \{"data_files":"a"\}, without a config_name$/],
    [card("configs:\n  - config_name: x\n    data_dir: 7"), null, /data_dir is 7$/],
    [card("configs:\n  - config_name: x\n    data_files: 7"), null, /data_files has .* which is no split with a path$/],
    [
      card("configs:\n  - config_name: x\n    data_files: [{split: train}]"),
      null,
      /data_files has \{"split":"train"\}/,
    ],
    [
      card("configs:\n  - config_name: x\n    data_files: ../../etc/*"),
      null,
      /no file of the data set is \.\.\/\.\.\/etc\/\* \(split train\)$/,
    ],
    [
      card('configs:\n  - config_name: x\n    data_files: "https://example.com/a.txt"'),
      null,
      /no file of the data set is https/,
    ],
    [card('configs:\n  - config_name: x\n    data_files: "{a,b}/one.*"'), null, /no file of the data set is \{a,b\}/],
    [card("configs: [\n"), null, /^README\.md: the front matter/],
  ])("refuses what it does not say %#", (text, config, message) => {
    expect(() => splits(paths, text, config)).toThrow(InputError);
    expect(() => splits(paths, text, config)).toThrow(message);
  });
});

describe("readableFiles", () => {
  it.each([
    [
      ["a.jsonl", "b.json", "LICENSE", "c.txt"],
      ["a.jsonl", "b.json"],
    ],
    [["a.parquet", "b.txt"], ["a.parquet"]],
    [
      ["a.txt", "b.txt", "c.jsonl"],
      ["a.txt", "b.txt"],
    ],
    [["a.txt"], ["a.txt"]],
  ])("of %j are %j", (files, expected) => {
    expect(readableFiles(files)).toEqual(expected);
  });

  it.each([[["a.csv", "b.csv", "c.txt"]], [["a.jsonl.zst"]], [["LICENSE"]]])("refuses %j", (files) => {
    expect(() => readableFiles(files)).toThrow(
      `expected .txt, .jsonl, .json or .parquet files, but the data is in files such as ${files[0]}`,
    );
  });
});
