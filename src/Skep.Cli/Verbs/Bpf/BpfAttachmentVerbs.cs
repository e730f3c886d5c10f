using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Skep.Bpf;
using Skep.Bpf.Inspection;
using Skep.Cli.Output;
using Spectre.Console;

namespace Skep.Cli.Verbs.Bpf;

/// <summary><c>skep bpf link list</c>, <c>show</c> and <c>detach</c>: which programs are attached to what. <c>link</c> alone links objects.</summary>
internal static class BpfAttachmentVerbs
{
    public static Command AddTo(Command link)
    {
        link.Add(List());
        link.Add(Show());
        link.Add(Detach());
        return link;
    }

    private static VerbCommand List()
    {
        var json = CommonOptions.Json();
        return new VerbCommand("list", "List all links: type, program, target, the processes that hold them and their pins (root).", "skep bpf link list", "skep bpf link list --json")
        {
            json,
        }.Runs(result =>
        {
            var (owners, pins) = (ObjectOwners.Read(), ObjectPins.Read());
            var links = BpfObject.All(BpfObjectKind.Link, LinkDetails.Read).ToArray();
            var output = result.InvocationConfiguration.Output;
            if (result.GetValue(json))
            {
                output.WriteLine(new JsonArray([.. links.Select(l => Describe(l, owners, pins))]).ToJsonString());
                return ExitCode.Ok;
            }

            var table = Screen.Table("id", "type", "program", "target", "held by");
            foreach (var l in links)
            {
                table.AddRow(
                    l.Id.ToString(CultureInfo.InvariantCulture), l.Type.ToString(), l.ProgramId.ToString(CultureInfo.InvariantCulture),
                    Cell(Target(l)), Cell(BpfObject.Holders(BpfObjectKind.Link, l.Id, owners, pins)));
            }

            Screen.For(output).Write(table);
            return ExitCode.Ok;
        });
    }

    private static VerbCommand Show()
    {
        var which = BpfObject.Argument(BpfObjectKind.Link);
        var json = CommonOptions.Json();
        return new VerbCommand("show", "Show what the kernel knows of one link (root).", "skep bpf link show 12", "skep bpf link show /sys/fs/bpf/skep/xdp --json")
        {
            which, json,
        }.Runs(result =>
        {
            var l = BpfObject.Read(BpfObjectKind.Link, BpfObject.Find(BpfObjectKind.Link, result.GetValue(which)!), LinkDetails.Read);
            var (owners, pins) = (ObjectOwners.Read(), ObjectPins.Read());
            var output = result.InvocationConfiguration.Output;
            if (result.GetValue(json))
            {
                output.WriteLine(Describe(l, owners, pins).ToJsonString());
                return ExitCode.Ok;
            }

            output.WriteLine($"link {l.Id}: {l.Type}, program {l.ProgramId}, {Safe.Text(Target(l))}");
            output.WriteLine($"  held by: {BpfObject.Holders(BpfObjectKind.Link, l.Id, owners, pins)}");
            return ExitCode.Ok;
        });
    }

    private static VerbCommand Detach()
    {
        var which = BpfObject.Argument(BpfObjectKind.Link);
        return new VerbCommand("detach", "Take the program from its hook (root, kernel 5.9). The link itself stays, empty, as long as a process or pin holds it.", "skep bpf link detach 12")
        {
            which,
        }.Runs(result =>
        {
            var id = BpfObject.Find(BpfObjectKind.Link, result.GetValue(which)!);
            try
            {
                BpfObject.Read(BpfObjectKind.Link, id, i =>
                {
                    LinkDetails.Detach(i);
                    return i;
                });
                return ExitCode.Ok;
            }
            catch (BpfException e) when (e.ErrorNumber == Errno.NotSupported)
            {
                throw new VerbException($"Links of the type of {id} cannot be detached: they end when the processes that hold them end and their pins are removed ('skep bpf link show {id}').");
            }
        });
    }

    private static string Target(LinkDetails l) => string.Join(' ', l.Target.Select(t => string.Create(CultureInfo.InvariantCulture, $"{t.Name} {t.Value}")));

    private static JsonObject Describe(LinkDetails l, ObjectOwners owners, ObjectPins pins)
    {
        var json = new JsonObject { ["id"] = l.Id, ["type"] = l.Type.ToString(), ["programId"] = l.ProgramId };
        foreach (var (name, value) in l.Target)
        {
            json[name] = value switch
            {
                uint number => JsonValue.Create(number),
                int number => JsonValue.Create(number),
                ulong number => JsonValue.Create(number),
                var other => JsonValue.Create(other.ToString()),
            };
        }

        BpfObject.AddHolders(json, BpfObjectKind.Link, l.Id, owners, pins);
        return json;
    }

    private static string Cell(string text) => Markup.Escape(Safe.Text(text));
}
