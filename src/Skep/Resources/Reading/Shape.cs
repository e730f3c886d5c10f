using System.Text.Json.Nodes;

namespace Skep.Resources.Reading;

/// <summary>
/// What a value of a resource file must look like. One description reads the value, words the complaints and writes the JSON Schema,
/// so that the three cannot disagree.
/// </summary>
internal abstract class Shape
{
    /// <summary>Reads a value; null when it had problems, which are then in the list.</summary>
    public abstract object? Read(Node node, string path, ProblemList problems);

    /// <summary>The same as JSON Schema (2020-12).</summary>
    public abstract JsonObject Schema();
}

/// <summary>A list of values of one shape.</summary>
internal sealed class ListShape(Shape item, int least, int most) : Shape
{
    public override object? Read(Node node, string path, ProblemList problems)
    {
        if (node.Kind != NodeKind.List)
        {
            problems.Error(node.Source, "wrong-type", $"{path} is {node.Describe()}", "write a list, one '- item' a line");
            return null;
        }

        if (node.Items.Count < least || node.Items.Count > most)
        {
            problems.Error(node.Source, "wrong-count", $"{path} has {node.Items.Count} items", $"it takes {least} to {most}");
            return null;
        }

        var values = new List<object>(node.Items.Count);
        for (var i = 0; i < node.Items.Count; i++)
        {
            if (item.Read(node.Items[i], $"{path}[{i}]", problems) is { } value)
            {
                values.Add(value);
            }
        }

        return values.Count == node.Items.Count ? values : null;
    }

    public override JsonObject Schema() => new() { ["type"] = "array", ["items"] = item.Schema(), ["minItems"] = least, ["maxItems"] = most };
}

/// <summary>String to string, for labels and annotations.</summary>
internal sealed class StringMapShape : Shape
{
    public override object? Read(Node node, string path, ProblemList problems)
    {
        if (node.Kind != NodeKind.Map)
        {
            problems.Error(node.Source, "wrong-type", $"{path} is {node.Describe()}", "write 'name: value' pairs");
            return null;
        }

        var map = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (key, value) in node.Fields)
        {
            if (key.Kind != NodeKind.Scalar || value.Kind != NodeKind.Scalar)
            {
                problems.Error(key.Source, "wrong-type", $"{path} takes text only", "write 'name: value' pairs");
            }
            else if (!map.TryAdd(key.Text, value.Text))
            {
                problems.Error(key.Source, "duplicate-field", $"'{Node.Quote(key.Text)}' stands twice in {path}", "remove one of them");
            }
        }

        return map;
    }

    public override JsonObject Schema() => new() { ["type"] = "object", ["additionalProperties"] = new JsonObject { ["type"] = "string" } };
}
