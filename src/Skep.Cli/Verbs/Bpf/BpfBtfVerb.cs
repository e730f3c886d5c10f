using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Skep.Bpf.Btf;
using Skep.Bpf.Inspection;
using Skep.Cli.Output;
using Spectre.Console;

namespace Skep.Cli.Verbs.Bpf;

/// <summary><c>skep bpf btf</c>: type information in the kernel and in files.</summary>
internal static class BpfBtfVerb
{
    public static Command Build() => new VerbCommand("btf", "Look at type information.", "skep bpf btf list", "skep bpf btf dump /sys/kernel/btf/vmlinux --type tcp_sock") { List(), Dump() };

    private static VerbCommand List()
    {
        var json = CommonOptions.Json();
        return new VerbCommand("list", "List all loaded type information and who holds it (root).", "skep bpf btf list --json")
        {
            json,
        }.Runs(result =>
        {
            var owners = ObjectOwners.Read();
            var all = BpfObject.All(BpfObjectKind.Btf, BtfDetails.Read).ToArray();
            var output = result.InvocationConfiguration.Output;
            if (result.GetValue(json))
            {
                output.WriteLine(new JsonArray([.. all.Select(b => (JsonNode)new JsonObject
                {
                    ["id"] = b.Id, ["name"] = b.Name, ["size"] = b.Size, ["kernel"] = b.IsKernel,
                    ["processes"] = new JsonArray([.. owners.Of(BpfObjectKind.Btf, b.Id).Select(o => (JsonNode)new JsonObject { ["pid"] = o.ProcessId, ["name"] = o.Name })]),
                })]).ToJsonString());
                return ExitCode.Ok;
            }

            var table = Screen.Table("id", "name", "bytes", "held by");
            foreach (var b in all)
            {
                table.AddRow(
                    b.Id.ToString(CultureInfo.InvariantCulture), Markup.Escape(Safe.Text(b.Name)), b.Size.ToString(CultureInfo.InvariantCulture),
                    Markup.Escape(string.Join(' ', owners.Of(BpfObjectKind.Btf, b.Id).Select(o => Safe.Text($"{o.Name}({o.ProcessId})")))));
            }

            Screen.For(output).Write(table);
            return ExitCode.Ok;
        });
    }

    private static VerbCommand Dump()
    {
        var which = BpfObject.Argument(BpfObjectKind.Btf);
        which.Description = "Number of loaded type information, or a BTF file.";
        var type = new Option<string?>("--type") { Description = "Only types of this name.", HelpName = "name" };
        var json = CommonOptions.Json();
        return new VerbCommand("dump", "Print types: number, kind, name and members.", "skep bpf btf dump 31", "skep bpf btf dump /sys/kernel/btf/vmlinux --type tcp_sock", "skep bpf btf dump 31 --json")
        {
            which, type, json,
        }.Runs(result =>
        {
            using var types = Open(result.GetValue(which)!);
            var name = result.GetValue(type);
            var output = result.InvocationConfiguration.Output;
            var rows = new JsonArray();
            var found = false;
            for (var id = 1u; id < types.Count; id++)
            {
                if (name is not null && types[id].Name != name)
                {
                    continue;
                }

                found = true;
                if (result.GetValue(json))
                {
                    rows.Add(Describe(types, id));
                }
                else
                {
                    output.WriteLine(Safe.Lines(BtfText.Describe(types, id).Replace("\t", "    ", StringComparison.Ordinal)));
                }
            }

            if (name is not null && !found)
            {
                throw new VerbException($"There is no type '{Safe.Text(name)}'.");
            }

            if (result.GetValue(json))
            {
                output.WriteLine(rows.ToJsonString());
            }

            return ExitCode.Ok;
        });
    }

    private static BtfFile Open(string word)
    {
        if (!word.Contains('/'))
        {
            return BpfObject.Read(BpfObjectKind.Btf, BpfObject.Find(BpfObjectKind.Btf, word), BtfFile.OpenById);
        }

        try
        {
            // A module's types go on where the kernel's end.
            var module = word.StartsWith("/sys/kernel/btf/", StringComparison.Ordinal) && !word.EndsWith("/vmlinux", StringComparison.Ordinal);
            return BtfFile.Open(word, module ? BtfFile.Kernel : null);
        }
        catch (InvalidDataException e)
        {
            throw new VerbException($"{Safe.Text(word)} cannot be read as BTF: {Safe.Text(e.Message)}");
        }
    }

    private static JsonObject Describe(BtfFile types, uint id)
    {
        var type = types[id];
        var json = new JsonObject { ["id"] = id, ["kind"] = BtfText.KindName(type), ["name"] = type.Name };
        switch (type.Kind)
        {
            case BtfKind.Struct or BtfKind.Union:
                json["size"] = type.SizeOrType;
                json["members"] = new JsonArray([.. types.Members(id).Select(m => (JsonNode)new JsonObject
                {
                    ["name"] = m.Name, ["typeId"] = m.Type, ["type"] = BtfText.NameOf(types, m.Type), ["bitOffset"] = m.BitOffset, ["bitSize"] = m.BitSize,
                })]);
                break;
            case BtfKind.Int or BtfKind.Enum or BtfKind.Enum64 or BtfKind.Float or BtfKind.DataSection:
                json["size"] = type.SizeOrType;
                break;
            case BtfKind.Array or BtfKind.Forward:
                break;
            default:
                json["typeId"] = type.SizeOrType;
                break;
        }

        return json;
    }
}
