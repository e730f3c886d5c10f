using System.CommandLine;
using System.Text.Json.Nodes;
using Skep.Bpf.Btf;
using Skep.Cli.Output;

namespace Skep.Cli.Verbs;

/// <summary><c>skep gen</c>: C# source written from what the kernel says about itself.</summary>
internal static class GenVerb
{
    private const int MostAdvice = 8;

    public static Command Build() => new VerbCommand("gen", "Write C# source from what a kernel says about itself.", "skep gen types tcp_sock sk_buff --out KernelTypes.cs") { Types() };

    private static VerbCommand Types()
    {
        var names = new Argument<string[]>("name")
        {
            Description = "Struct, union, enumeration, typedef or function of the kernel. What a type embeds is written too; pointers are typed where their target is named.",
            Arity = ArgumentArity.OneOrMore,
        };
        var btf = new Option<string?>("--btf") { Description = "File with the BTF of the kernel or module; the running kernel's unless given.", HelpName = "file" };
        var space = new Option<string>("--namespace") { Description = "Namespace of the views.", HelpName = "name", DefaultValueFactory = _ => "KernelTypes" };
        var file = new Option<string?>("--out") { Description = "File to write; standard output unless given.", HelpName = "file" };
        var json = CommonOptions.Json();
        return new VerbCommand(
            "types", "Write views of kernel types: C# structs whose fields a kernel program reads by name, wherever the kernel at hand has them.",
            "skep gen types tcp_sock --namespace Probes --out TcpSock.cs", "skep gen types task_struct cred", "skep gen types bpf_task_acquire task_struct",
            "skep gen types xdp_md --btf vmlinux.btf --json")
        {
            names, btf, space, file, json,
        }.Runs(result => Run(result, result.GetValue(names)!, result.GetValue(btf), result.GetValue(space)!, result.GetValue(file), result.GetValue(json)));
    }

    private static int Run(ParseResult result, string[] names, string? path, string space, string? file, bool json)
    {
        if (!space.Split('.').All(static part => part.Length > 0 && !char.IsAsciiDigit(part[0]) && part.All(static c => char.IsAsciiLetterOrDigit(c) || c == '_')))
        {
            throw new VerbException($"'{Safe.Text(space)}' is no namespace: letters, digits and underscores, parts separated by dots.", ExitCode.Usage);
        }

        var btf = Open(path);
        var writer = new KernelViewWriter(btf);
        foreach (var name in names)
        {
            if (!writer.Add(name))
            {
                throw new VerbException($"The kernel has no type or function '{Safe.Text(name)}'{Advice(btf, name)}.", ExitCode.Usage);
            }
        }

        var source = writer.Write(space);
        var output = result.InvocationConfiguration.Output;
        if (file is not null)
        {
            File.WriteAllText(file, source);
        }

        if (json)
        {
            output.WriteLine(Describe(writer, space, file).ToJsonString());
        }
        else if (file is null)
        {
            output.Write(source);
        }
        else
        {
            output.WriteLine($"wrote {writer.Written.Count} types to {Safe.Text(file)}");
        }

        return ExitCode.Ok;
    }

    private static JsonObject Describe(KernelViewWriter writer, string space, string? file) => new()
    {
        ["namespace"] = space,
        ["file"] = file,
        ["types"] = new JsonArray([.. writer.Written.Select(t => (JsonNode)new JsonObject
        {
            ["name"] = t.Name,
            ["kernel"] = t.KernelName,
            ["kind"] = t.Kind,
            ["size"] = t.Size,
            ["fields"] = new JsonArray([.. t.Fields.Select(f => (JsonNode)new JsonObject { ["name"] = f.Name, ["kernel"] = f.Path, ["type"] = f.Type, ["bits"] = f.Bits })]),
        })]),
    };

    private static BtfFile Open(string? path)
    {
        if (path is null)
        {
            return BtfFile.Kernel ?? throw new VerbException("This kernel has no BTF (/sys/kernel/btf/vmlinux); give a file with --btf.");
        }

        try
        {
            return BtfFile.Open(path);
        }
        catch (Exception e) when (e is InvalidDataException or IOException or UnauthorizedAccessException)
        {
            throw new VerbException($"{Safe.Text(path)} cannot be read as BTF: {Safe.Text(e.Message)}");
        }
    }

    /// <summary>Names that contain what was typed, the shortest first.</summary>
    private static string Advice(BtfFile btf, string name)
    {
        var near = new SortedSet<(int Length, string Name)>();
        for (var id = 1u; id < (uint)btf.Count && name.Length > 2; id++)
        {
            if (btf[id] is { Kind: BtfKind.Struct or BtfKind.Union or BtfKind.Enum or BtfKind.Enum64 } type && type.Name.Contains(name, StringComparison.OrdinalIgnoreCase))
            {
                near.Add((type.Name.Length, Safe.Text(type.Name)));
            }
        }

        return near.Count == 0 ? "" : $"; it has {string.Join(", ", near.Take(MostAdvice).Select(n => n.Name))}";
    }
}
