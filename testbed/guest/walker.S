.text
hlt
